using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>The model that a coordinator serves, and what each part of the coordinator needs to know of it.</summary>
sealed class OpenedModel : IDisposable
{
    const int LongestName = 200;

    /// <summary>The default size of the KV cache in positions; see <see cref="EngineOptions.KvTokens"/>.</summary>
    const int UsualKvTokens = 65536;

    OpenedModel(IModelWeights files, HashRecord? record, CoordinatorOptions options, int contextLength)
    {
        var path = options.ModelPath;
        ContextLength = contextLength;
        Identity = new ModelIdentity(CleanName(ModelFiles.IdOf(path)), files.ComputeDigest()) { Files = record?.Stamp ?? "" };
        Weights = new ServedWeights(files, Identity.Name, Identity.Digest, new PartHashes(files, record), options.WeightsHub, options.SharesWeights);
        Adapters = AdapterRegistry.Open(options.Adapters, files.Config, Identity.Name);
        var text = ModelTextReader.Open(path);
        var template = text.TemplateProblem is null ? text.Template : null;
        Served = new ServedModel(
            Identity.Name, Identity.Digest, contextLength, text.Tokenizer, template, text.BosText ?? "", text.EosText ?? "", ModelFiles.ChangedAt(path))
        {
            LongestContext = files.Config.ContextLength,
            TemplateProblem = text.TemplateProblem,
            Size = SizeOf(files),
            HiddenSize = files.Config.HiddenSize,
            Pooling = text.Pooling,
            InfillIds = text.Infill,
            Adapters = Adapters,
        };
    }

    public ModelIdentity Identity { get; }

    /// <summary>For the Weights service, which sends it to workers that lack the files.</summary>
    public ServedWeights Weights { get; }

    /// <summary>What requests may name in the model's place.</summary>
    public AdapterRegistry Adapters { get; }

    /// <summary>For the API.</summary>
    public ServedModel Served { get; }

    /// <summary>The most tokens of one sequence.</summary>
    public int ContextLength { get; }

    public int VocabularySize => Weights.Files.Config.VocabularySize;

    /// <exception cref="ModelFormatException">The files are missing, damaged or of an unknown format.</exception>
    /// <exception cref="InvalidOptionsException">More context was asked for than the model has, or more ranks than can share it.</exception>
    public static OpenedModel Open(CoordinatorOptions options, ILogger<HashRecord> logger)
    {
        var files = ModelFiles.Open(options.ModelPath);
        try
        {
            var contextLength = ContextLengthOf(options, files.Config.ContextLength);
            if (RankProblem(options, ModelFootprints.Of(files, options.Engine.KvType)) is { } problem) throw new InvalidOptionsException(problem);
            return new OpenedModel(files, HashRecord.Of(files, HashRecord.DefaultFallback, logger), options, contextLength);
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    public SupervisorOptions ToSupervisorOptions(CoordinatorOptions options)
    {
        var engine = options.Engine;
        var tokens = engine.KvTokens ?? Math.Max(ContextLength, Math.Min((long)engine.MaxRunning * ContextLength, UsualKvTokens));
        var bufferBytes = StageMemory.BufferBytes(Weights.Files.Config, StageShape.Whole(Weights.Files.Config.LayerCount), engine.MaxStepRows)
            + StageMemory.AdapterBufferBytes(
                Weights.Files.Config, StageShape.Whole(Weights.Files.Config.LayerCount), StageSlice.Whole(Weights.Files.Config), engine.MaxStepRows,
                Adapters.MaxRank, Math.Max(Adapters.MaxVocabulary, VocabularySize));
        return new SupervisorOptions(
            Identity, ModelFootprints.Of(Weights.Files, engine.KvType), ModelFiles.FullPath(options.ModelPath), options.Workers, options.MinWorkers,
            options.TensorParallel, options.Objective, options.Streams, ContextLength, VocabularySize, bufferBytes, KvBlock.CountFor((int)tokens), engine,
            options.Deadlines)
        {
            ExpertParallel = options.ExpertParallel,
            Tokenizer = Served.Tokenizer,
            Adapters = Adapters,
            SharesWeights = Weights.AreShared,
        };
    }

    public void Dispose()
    {
        Adapters.Dispose();
        Weights.Hashes.Dispose();
        Weights.Files.Dispose();
    }

    static string? RankProblem(CoordinatorOptions options, ModelFootprint model) =>
        PipelinePlanner.ExpertProblem(model, options.ExpertParallel)
        ?? (options.TensorParallel is { } ranks ? PipelinePlanner.RankProblem(model, ranks, options.ExpertParallel) : null);

    static ModelSize SizeOf(IModelWeights files) => new(
        files.Tensors.Sum(tensor => tensor.Bytes), files.Tensors.Sum(tensor => tensor.Rows * tensor.Columns),
        files.Tensors.GroupBy(tensor => tensor.Type).MaxBy(group => group.Sum(tensor => tensor.Bytes))?.Key.ToString() ?? "");

    /// <param name="modelContextLength">The longest sequence that the model was made for.</param>
    internal static int ContextLengthOf(CoordinatorOptions options, int modelContextLength)
    {
        if (options.ContextLength is not { } asked) return modelContextLength;
        return OptionRange.Problem("--context", asked, 2, modelContextLength) is { } problem ? throw new InvalidOptionsException(problem) : asked;
    }

    /// <summary>A file can have any name, and the name goes into plans, logs and answers.</summary>
    static string CleanName(string name)
    {
        var clean = new string([.. name.Where(letter => !char.IsControl(letter)).Take(LongestName)]).Trim();
        return clean.Length == 0 ? "model" : clean;
    }
}
