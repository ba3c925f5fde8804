using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Primitives;
using LlamaCluster.Worker;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// `bench`: measures how fast a model, or random weights of a shape, run in this process or in a cluster of processes, and compares that with
/// the speed of memory.
/// </summary>
static class BenchCommand
{
    const int MaxThreads = 1024;
    const int MaxWorkers = 1024;
    const int MaxTokens = 1 << 20;

    static readonly Option<string?> Model = ModelOption.Create();
    static readonly Option<string?> Shape = ShapeOption.Create("random weights in place of a model");
    static readonly Option<int?> Layers = new("--layers") { HelpName = "N", Description = "with --shape: only N of its layers" };

    static readonly Option<bool> ShareLayers = new("--share-layer-weights")
    {
        Description = "with --shape: all layers of a shard use one copy of a layer's weights, so that a large shape runs in little memory",
    };

    static readonly Option<string?> Quant = new("--quant")
    {
        HelpName = "TYPE",
        Description = "the type of the matrices; without it a model's own, and q4_0 for a shape",
    };

    static readonly WordOption<KvType> Kv = KvTypeOption.Create();

    static readonly Option<int> Workers = new("--workers")
    {
        HelpName = "N",
        Description = "worker processes; 0: everything in this process",
        DefaultValueFactory = _ => 0,
    };

    static readonly Option<int> TensorParallel = new("--tensor-parallel")
    {
        HelpName = "T",
        Description = "workers that share each stage",
        DefaultValueFactory = _ => 1,
    };

    static readonly WordOption<ExpertParallel> Experts = TensorOptions.Experts();

    static readonly WordOption<PeerLinkPreference> PeerLink = TensorOptions.PeerLink();

    static readonly Option<int?> Threads = new("--threads-per-worker")
    {
        HelpName = "K",
        Description = "compute threads, of each worker if there are any; without it the processors are shared out",
    };

    static readonly Option<bool> Pin = new("--pin")
    {
        Description = "hold each worker, or without workers each thread but the first, on processors of its own (Linux)",
    };

    static readonly Option<int> Prompt = new("--prompt-tokens") { HelpName = "N", Description = "the length of each prompt", DefaultValueFactory = _ => 128 };

    static readonly Option<int> Generate = new("--generate-tokens")
    {
        HelpName = "N",
        Description = "the tokens that each stream generates, 2 at least: the first is the prompt's",
        DefaultValueFactory = _ => 32,
    };

    static readonly Option<int> Concurrency = new("--concurrency") { HelpName = "N", Description = "streams at a time", DefaultValueFactory = _ => 1 };
    static readonly Option<double?> DraftAcceptance = new("--draft-acceptance")
    {
        HelpName = "P",
        Description = "with --workers: what drafts gain for one stream that are right with this probability, 0 to 1; they are made of a text "
            + "that was generated before",
    };

    static readonly Option<string?> DraftShape = new("--draft-shape")
    {
        HelpName = "NAME|hidden=..,..",
        Description = "with --draft-acceptance and --shape: these drafts take what a draft model of this shape takes, on a worker of its own; "
            + "without it nothing",
    };

    static readonly Option<bool> Json = new("--json") { Description = "print one JSON object" };

    public static Command Create()
    {
        var command = new Command("bench", "Measure prefill, decode, latencies and memory, in this process or in a cluster of N worker processes.")
        {
            Model, HubOption.Create(), Shape, Layers, ShareLayers, Quant, Kv, Workers, TensorParallel, Experts, PeerLink, Threads, Pin, Prompt, Generate,
            Concurrency, DraftAcceptance, DraftShape, Json,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            var report = await RunAsync(parsed, cancellation);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(Json)) output.WriteLine(report.Json());
            else foreach (var line in report.Lines()) output.WriteLine(line);
            return ExitCode.Done;
        });
        return command;
    }

    static async Task<IBenchReport> RunAsync(ParseResult parsed, CancellationToken cancellation)
    {
        var (shape, quant, error) = (parsed.GetValue(Shape), parsed.GetValue(Quant), parsed.InvocationConfiguration.Error);
        var workers = NumberOption.Check("--workers", parsed.GetValue(Workers), 0, MaxWorkers);
        CheckTogether(parsed, workers);
        var load = LoadOf(parsed, workers);
        var path = shape is null
            ? PathOf(ModelOption.PathOf(parsed, Model), quant)
            : PathOfShape(shape, parsed.GetValue(Layers), quant, parsed.GetValue(ShareLayers));
        var ranks = parsed.GetValue(TensorParallel);
        var cluster = new ClusterBenchOptions(path, workers, ranks, PeerLink.In(parsed), load)
        {
            Drafts = DraftsOf(parsed),
            ExpertParallel = Experts.In(parsed),
        };
        if (cluster.Drafts is not null) return await new DraftBench(cluster, error).RunAsync(cancellation);
        if (workers > 0) return await new ClusterBench(cluster, error).RunAsync(cancellation);
        using var weights = ModelFiles.Open(path);
        return LocalBench.Run(weights, load, error, cancellation);
    }

    static BenchDrafts? DraftsOf(ParseResult parsed)
    {
        if (parsed.GetValue(DraftAcceptance) is not { } acceptance) return null;
        if (!(acceptance is >= 0 and <= 1)) throw new InvalidOptionsException($"--draft-acceptance is {acceptance}; it must be from 0 to 1");
        var shape = parsed.GetValue(DraftShape);
        return new BenchDrafts(acceptance, shape is null ? null : PathOfShape(shape, null, parsed.GetValue(Quant), shareLayers: false));
    }

    /// <param name="type">The type to quantise to while loading; null: as stored.</param>
    /// <exception cref="InvalidOptionsException">It is not possible to quantise to the type.</exception>
    static string PathOf(string path, string? type) =>
        type is null ? path : new QuantizedModelPath(path, TypeOf(type, QuantizationRules.Targets)).ToString();

    /// <param name="layers">The number of the shape's layers to use; null: all.</param>
    /// <param name="type">The type of all matrices; null: Q4_0.</param>
    /// <param name="shareLayers">All layers use one copy of a layer's weights.</param>
    /// <exception cref="InvalidOptionsException">The shape is not valid or has fewer layers, or the type is unknown.</exception>
    static string PathOfShape(string shape, int? layers, string? type, bool shareLayers)
    {
        var parsed = ShapeOption.Parse(shape);
        if (layers is { } count) NumberOption.Check("--layers", count, 1, parsed.Config.LayerCount);
        return new RandomModelPath(shape, type is null ? TensorType.Q4_0 : TypeOf(type, Enum.GetValues<TensorType>()), layers, shareLayers).ToString();
    }

    static TensorType TypeOf(string name, IReadOnlyList<TensorType> possible) =>
        RandomModelPath.FindType(name) is { } type && possible.Contains(type)
            ? type
            : throw new InvalidOptionsException(
                $"--quant is {name}; it must be one of {string.Join(", ", possible.Select(type => type.ToString().ToLowerInvariant()))}");

    static void CheckTogether(ParseResult parsed, int workers)
    {
        var (ofModel, ofShape) = (parsed.GetValue(Model) is not null, parsed.GetValue(Shape) is not null);
        if (ofModel && ofShape) throw new InvalidOptionsException("--model and --shape are both given: give one");
        if (parsed.GetValue(Layers) is not null && !ofShape) throw new InvalidOptionsException("--layers needs --shape");
        if (parsed.GetValue(ShareLayers) && !ofShape) throw new InvalidOptionsException("--share-layer-weights needs --shape");
        var hasDrafts = parsed.GetValue(DraftAcceptance) is not null;
        if (hasDrafts && workers == 0) throw new InvalidOptionsException("--draft-acceptance needs --workers");
        if (hasDrafts && parsed.GetValue(Concurrency) != 1) throw new InvalidOptionsException("--draft-acceptance is for one stream: leave --concurrency out");
        if (parsed.GetValue(DraftShape) is not null && !(hasDrafts && ofShape))
            throw new InvalidOptionsException("--draft-shape needs --draft-acceptance and --shape");
        if (parsed.GetValue(TensorParallel) != 1 && workers == 0) throw new InvalidOptionsException("--tensor-parallel needs --workers");
        if (Experts.In(parsed) != ExpertParallel.Auto && workers == 0) throw new InvalidOptionsException($"{TensorOptions.ExpertsName} needs --workers");
        if (PeerLink.In(parsed) != PeerLinkPreference.Auto && workers == 0) throw new InvalidOptionsException($"{TensorOptions.PeerLinkName} needs --workers");
    }

    static BenchOptions LoadOf(ParseResult parsed, int workers) => new(
        parsed.GetValue(Threads) is { } threads
            ? NumberOption.Check("--threads-per-worker", threads, 1, MaxThreads)
            : Math.Max(1, Environment.ProcessorCount / Math.Max(1, workers)),
        parsed.GetValue(Pin),
        Kv.In(parsed),
        NumberOption.Check("--prompt-tokens", parsed.GetValue(Prompt), 1, MaxTokens),
        NumberOption.Check("--generate-tokens", parsed.GetValue(Generate), 2, MaxTokens),
        NumberOption.Check("--concurrency", parsed.GetValue(Concurrency), 1, workers == 0 ? BenchStreams.StepRows : BenchStreams.StepRows - 1));
}

/// <summary>The load of a benchmark, and its threads.</summary>
/// <param name="Threads">Threads of this process, or of each worker.</param>
/// <param name="Pin">Threads, or workers, have processors of their own.</param>
/// <param name="KvType">How keys and values are kept.</param>
/// <param name="PromptTokens">Per stream.</param>
/// <param name="GenerateTokens">Per stream. The first token comes from the prompt's last step, each other one from a step of its own.</param>
/// <param name="Concurrency">Streams that decode at the same time; in this process all in one step.</param>
sealed record BenchOptions(int Threads, bool Pin, KvType KvType, int PromptTokens, int GenerateTokens, int Concurrency)
{
    /// <summary>Positions per stream.</summary>
    public int Positions => checked(PromptTokens + GenerateTokens);

    /// <exception cref="CommandFailedException">The streams are longer than the model's context.</exception>
    public void CheckContext(IModelWeights weights)
    {
        if (Positions > weights.Config.ContextLength)
            throw new CommandFailedException(
                $"--prompt-tokens and --generate-tokens are {Positions} together; {weights.Name} is made for at most {weights.Config.ContextLength}");
    }
}

/// <summary>A benchmark of a whole cluster on this machine.</summary>
/// <param name="Model">A path, or a shape in the form of a path.</param>
/// <param name="Workers">Processes; at least 1.</param>
/// <param name="TensorParallel">Workers that share each stage.</param>
/// <param name="PeerLink">What the workers have between them.</param>
sealed record ClusterBenchOptions(string Model, int Workers, int TensorParallel, PeerLinkPreference PeerLink, BenchOptions Load)
{
    /// <summary>Whether workers that share a stage have whole experts.</summary>
    public ExpertParallel ExpertParallel { get; init; }

    /// <summary>What is to be measured of drafts; null: nothing is drafted.</summary>
    public BenchDrafts? Drafts { get; init; }
}
