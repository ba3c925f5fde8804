using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// Measures what drafts of a given quality gain for one stream: the same text is generated with scripted drafts and without, in turns. Tokens are drawn by
/// chance, so that the coordinator itself guesses nothing.
/// </summary>
sealed class DraftBench(ClusterBenchOptions options, TextWriter error)
{
    const int Rounds = 5;

    /// <exception cref="CommandFailedException">The cluster did not come up, or the text was not the same.</exception>
    /// <exception cref="ModelFormatException">The model cannot be read.</exception>
    public async Task<DraftReport> RunAsync(CancellationToken cancellation)
    {
        var drafts = options.Drafts!;
        using var weights = ModelFiles.Open(options.Model);
        options.Load.CheckContext(weights);
        ScriptedDrafts? script = null;
        await using var cluster = await BenchCluster.StartAsync(
            options, error, cancellation, model => script = new ScriptedDrafts(drafts.Acceptance, model));
        return await cluster.WithWorkersAsync(
            working => MeasureAsync(cluster.Engine, script!, drafts, weights.Config.VocabularySize, working), cancellation);
    }

    async Task<DraftReport> MeasureAsync(
        IGenerationEngine engine, ScriptedDrafts script, BenchDrafts drafts, int vocabularySize, CancellationToken cancellation)
    {
        var prompt = BenchPrompts.Make(options.Load with { Concurrency = 1 }, vocabularySize, 1)[0];
        var request = new SequenceRequest(prompt, new SamplingOptions { Temperature = 1, Seed = 1 }, options.Load.GenerateTokens, new HashSet<int>());
        var (text, _) = await GenerateAsync(engine, request, cancellation);
        List<double> with = [], without = [];
        for (var round = 0; round <= Rounds; round++)
            foreach (var (times, played) in new[] { (without, null), (with, text) })
            {
                script.Play(played);
                var (tokens, seconds) = await GenerateAsync(engine, request, cancellation);
                if (!tokens.AsSpan().SequenceEqual(text)) throw new CommandFailedException("the text with drafts is another than the one without");
                if (round > 0) times.Add(seconds);   // the first round warms up
            }
        return new DraftReport(drafts.Acceptance, drafts.Model, text.Length, Median(without), Median(with));
    }

    /// <returns>The tokens, and the seconds from the first to the last.</returns>
    static async Task<(int[] Tokens, double Seconds)> GenerateAsync(IGenerationEngine engine, SequenceRequest request, CancellationToken cancellation)
    {
        List<int> tokens = [];
        var begun = 0L;
        await foreach (var happened in engine.GenerateAsync(request, cancellation))
        {
            if (happened is SequenceEvent.Failed failed) throw new CommandFailedException(failed.Message);
            if (happened is SequenceEvent.Refused refused) throw new CommandFailedException(refused.Message);
            if (happened is not SequenceEvent.Token token) continue;
            if (tokens.Count == 0) begun = Stopwatch.GetTimestamp();
            tokens.Add(token.Sampled.Id);
        }
        return ([.. tokens], Stopwatch.GetElapsedTime(begun).TotalSeconds);
    }

    static double Median(List<double> seconds) => seconds.Order().ElementAt(seconds.Count / 2);
}

/// <summary>Scripted drafts of a benchmark.</summary>
/// <param name="Acceptance">The probability that a drafted token is right if all before it are, 0 to 1.</param>
/// <param name="Model">What they cost: a path, or a shape in the form of a path; null: nothing.</param>
sealed record BenchDrafts(double Acceptance, string? Model);

/// <summary>What drafts gained for one stream.</summary>
/// <param name="Tokens">Of the text.</param>
/// <param name="Plain">Seconds from its first token to its last without drafts: the median of the rounds.</param>
/// <param name="Drafted">The same with them.</param>
sealed record DraftReport(double Acceptance, string? Model, int Tokens, double Plain, double Drafted) : IBenchReport
{
    public IEnumerable<string> Lines() =>
    [
        string.Create(CultureInfo.InvariantCulture, $"drafts that are right with a probability of {Acceptance:0.##}, at the cost of {Model ?? "nothing"}"),
        string.Create(CultureInfo.InvariantCulture, $"{Rate(Plain):0.00} tokens/s without, {Rate(Drafted):0.00} with: {Plain / Drafted:0.000} times as fast"),
    ];

    public string Json() => JsonSerializer.Serialize(new Dictionary<string, object?>
    {
        ["acceptance"] = Acceptance,
        ["draft_model"] = Model,
        ["tokens"] = Tokens,
        ["tokens_per_second_plain"] = Rate(Plain),
        ["tokens_per_second_drafted"] = Rate(Drafted),
        ["speedup"] = Plain / Drafted,
    });

    double Rate(double seconds) => (Tokens - 1) / seconds;
}
