using System.Diagnostics;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cli.Bench;

/// <summary>The times of one round in this process.</summary>
/// <param name="Prefill">The time until every stream has its first token.</param>
/// <param name="FirstToken">The time until a stream has its first token, if all arrive at the same moment; the mean over the streams.</param>
/// <param name="Decode">The time of all steps after those of the prompts.</param>
sealed record BenchRound(TimeSpan Prefill, TimeSpan FirstToken, TimeSpan Decode);

/// <summary>Streams that one pipeline computes together. Prompts are pseudo-random ids, the same in each round. No id ends a stream.</summary>
sealed class BenchStreams(LocalPipeline pipeline, BenchOptions options, int vocabularySize)
{
    static readonly SamplingOptions Greedy = new();

    readonly int[][] _prompts = BenchPrompts.Make(options, vocabularySize, seed: 1);
    readonly int[] _lastTokens = new int[options.Concurrency];

    /// <summary>The most rows of a step.</summary>
    public static int StepRows { get; } = new LocalGeneratorOptions().MaxStepRows;

    /// <summary>KV blocks of all streams together.</summary>
    public static int Blocks(BenchOptions options) => checked(options.Concurrency * BlocksFor(options.Positions));

    /// <param name="afterStep">Called with the time of each step that decoded.</param>
    /// <exception cref="CommandFailedException">The weights produce numbers that are not finite.</exception>
    public BenchRound Run(Action<TimeSpan>? afterStep, CancellationToken cancellation)
    {
        var start = Stopwatch.GetTimestamp();
        var firstTokens = Read(start, cancellation);
        var prefill = Stopwatch.GetElapsedTime(start);
        var decodeStart = Stopwatch.GetTimestamp();
        for (var generated = 1; generated < options.GenerateTokens; generated++)
        {
            cancellation.ThrowIfCancellationRequested();
            var stepStart = Stopwatch.GetTimestamp();
            var position = options.PromptTokens + generated - 1;
            Run(new Step([], [.. _lastTokens.Select((token, stream) => ChunkOf(stream, position, new[] { token }, sampleCount: 1))]));
            afterStep?.Invoke(Stopwatch.GetElapsedTime(stepStart));
        }
        var decode = Stopwatch.GetElapsedTime(decodeStart);
        for (var stream = 0; stream < options.Concurrency; stream++) pipeline.End((ulong)stream);
        return new BenchRound(prefill, firstTokens / options.Concurrency, decode);
    }

    /// <summary>Computes the prompts one after the other, in steps with as many rows as possible.</summary>
    /// <returns>The sum over the streams of the time until the first token.</returns>
    TimeSpan Read(long start, CancellationToken cancellation)
    {
        var sum = TimeSpan.Zero;
        var total = (long)options.Concurrency * options.PromptTokens;
        for (var done = 0L; done < total;)
        {
            cancellation.ThrowIfCancellationRequested();
            List<Chunk> chunks = [];
            List<SequenceStart> starts = [];
            for (var room = StepRows; room > 0 && done < total;)
            {
                var (stream, position) = ((int)(done / options.PromptTokens), (int)(done % options.PromptTokens));
                var count = Math.Min(room, options.PromptTokens - position);
                if (position == 0) starts.Add(new SequenceStart((ulong)stream, Greedy, options.PromptTokens, []));
                var sampleCount = position + count == options.PromptTokens ? 1 : 0;
                chunks.Add(ChunkOf(stream, position, _prompts[stream].AsMemory(position, count), sampleCount));
                room -= count;
                done += count;
            }
            Run(new Step(starts, chunks));
            sum += Stopwatch.GetElapsedTime(start) * chunks.Sum(chunk => chunk.SampleCount);
        }
        return sum;
    }

    Chunk ChunkOf(int stream, int position, ReadOnlyMemory<int> tokens, int sampleCount)
    {
        var first = stream * BlocksFor(options.Positions);
        var (held, needed) = (BlocksFor(position), BlocksFor(position + tokens.Length));
        int[] blocks = [.. Enumerable.Range(first + held, needed - held)];
        return new Chunk((ulong)stream, position, tokens.Length, tokens, blocks, sampleCount);
    }

    void Run(Step step)
    {
        var samples = pipeline.Run(step) switch
        {
            StepOutcome.Completed { Failures: [var failure, ..] } => throw new CommandFailedException(failure.Reason),
            StepOutcome.Completed completed => completed.Samples,
            var other => throw new InvalidOperationException($"a step ended as {other}"),
        };
        foreach (var sample in samples) _lastTokens[(int)sample.SequenceId] = sample.Tokens[0].Id;
    }

    static int BlocksFor(int positions) => (positions + KvBlock.Positions - 1) / KvBlock.Positions;
}

/// <summary>Prompts of pseudo-random token ids; the same seed gives the same prompts.</summary>
static class BenchPrompts
{
    /// <summary>One prompt for each stream.</summary>
    public static int[][] Make(BenchOptions options, int vocabularySize, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, options.Concurrency).Select(_ => Make(random, options.PromptTokens, vocabularySize))];
    }

    static int[] Make(Random random, int length, int vocabularySize) => [.. Enumerable.Range(0, length).Select(_ => random.Next(vocabularySize))];
}
