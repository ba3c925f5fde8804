using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// Runs whole sequences through a pipeline in some way (stages, threads, chunks, alone or together), and gives for each the log-probabilities of all
/// ids after all positions: [T, V]. However it is run, every bit must be the same.
/// </summary>
sealed record ScoredRun(IModelWeights Weights, params int[][] Sequences)
{
    public int Stages { get; init; } = 1;

    /// <summary>In place of <see cref="Stages"/>.</summary>
    public IReadOnlyList<LocalStagePlan>? Plan { get; init; }

    public int Threads { get; init; } = 1;

    public KvType KvType { get; init; } = KvType.F32;

    /// <summary>Positions of a sequence that one step takes.</summary>
    public int ChunkSize { get; init; } = int.MaxValue;

    /// <summary>What sequences may name as their adapters; null: nothing.</summary>
    public IReadOnlyDictionary<ulong, AdapterWeights>? Adapters { get; init; }

    /// <summary>The adapter of each sequence, 0: none; null: none has one.</summary>
    public ulong[]? AdapterOf { get; init; }

    /// <summary>Steps take a chunk of every sequence; else one sequence after the other.</summary>
    public bool Together { get; init; }

    public float[][] Run()
    {
        var (blocks, next) = (ShuffledBlocks(), 0);
        var tables = Sequences.Select(tokens => blocks[next..(next += BlocksFor(tokens.Length))]).ToArray();
        var steps = Steps().ToArray();
        using var threads = new ComputeThreads(Threads);
        using var pipeline = LocalPipeline.Load(Weights, Plan ?? LocalStagePlan.Even(Weights.Config.LayerCount, Stages), new StageOptions
        {
            KvBlockCount = blocks.Length,
            KvType = KvType,
            MaxStepRows = steps.Max(step => step.Sum(part => part.Count)),
            MaxSequenceLength = Sequences.Max(tokens => tokens.Length),
        }, threads, adapters: Adapters);
        var scores = Sequences.Select(_ => new List<float>()).ToArray();
        foreach (var step in steps)
        {
            var outcome = pipeline.Run(new Step(
                [.. step.Where(part => part.Start == 0).Select(part => Facts(part.Sequence))],
                [.. step.Select(part => ChunkOf(part.Sequence, part.Start, part.Count, tables[part.Sequence]))]));
            foreach (var samples in Assert.IsType<StepOutcome.Completed>(outcome).Samples)
                foreach (var token in samples.Prompt.Concat(samples.Tokens))
                    scores[(int)samples.SequenceId].AddRange(token.Top.OrderBy(top => top.Id).Select(top => top.Logprob));
        }
        return [.. scores.Select(s => s.ToArray())];
    }

    SequenceStart Facts(int sequence) =>
        new((ulong)sequence, new SamplingOptions { TopLogprobs = TestModels.Vocabulary, PromptLogprobs = true }, Sequences[sequence].Length, [])
        {
            AdapterId = AdapterOf?[sequence] ?? 0,
        };

    Chunk ChunkOf(int sequence, int start, int count, int[] table)
    {
        var end = start + count;
        return new Chunk(
            (ulong)sequence, start, count, Sequences[sequence].AsMemory(start, count), table.AsMemory(BlocksFor(start), BlocksFor(end) - BlocksFor(start)),
            SampleCount: end == Sequences[sequence].Length ? 1 : 0);
    }

    IEnumerable<(int Sequence, int Start, int Count)[]> Steps()
    {
        var parts = Sequences.Select((tokens, s) => tokens.Chunk(Math.Min(ChunkSize, tokens.Length))
            .Select((part, i) => (Sequence: s, Start: i * ChunkSize, Count: part.Length)).ToArray()).ToArray();
        return Together
            ? Enumerable.Range(0, parts.Max(p => p.Length)).Select(i => parts.Where(p => i < p.Length).Select(p => p[i]).ToArray())
            : parts.SelectMany(p => p).Select(part => new[] { part });
    }

    int[] ShuffledBlocks()
    {
        var blocks = Enumerable.Range(0, Sequences.Sum(tokens => BlocksFor(tokens.Length))).ToArray();
        new Random(3).Shuffle(blocks);
        return blocks;
    }

    static int BlocksFor(int positions) => (positions + KvBlock.Positions - 1) / KvBlock.Positions;
}
