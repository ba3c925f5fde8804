using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Local;

/// <summary>How a model runs in this process alone.</summary>
public sealed record LocalGeneratorOptions
{
    /// <summary>Threads that compute.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Parts that the layers are divided into, run one after the other. The result is the same for any number.</summary>
    public int Stages { get; init; } = 1;

    /// <summary>The stages in full, where they are to be other than <see cref="Stages"/> of even length, or split over ranks.</summary>
    public IReadOnlyList<LocalStagePlan>? Plan { get; init; }

    /// <summary>Positions that a sequence may have; null: the model's context.</summary>
    public int? ContextLength { get; init; }

    public KvType KvType { get; init; } = KvType.F16;

    /// <summary>Tokens of a prompt that are computed at a time.</summary>
    public int MaxStepRows { get; init; } = 256;
}

/// <summary>A whole model in this process, for one sequence at a time. One caller at a time.</summary>
public sealed class LocalGenerator : IDisposable
{
    readonly ComputeThreads _threads;
    readonly LocalPipeline _pipeline;
    readonly int _rowsPerStep;
    readonly int _vocabularySize;
    readonly int[] _blocks;
    ulong _lastSequence;

    /// <summary>Loads all weights.</summary>
    /// <param name="source">May be disposed once this returns.</param>
    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    public LocalGenerator(IModelWeights source, LocalGeneratorOptions options, IProgress<long>? bytesLoaded = null, CancellationToken cancellation = default)
    {
        ContextLength = options.ContextLength ?? source.Config.ContextLength;
        _vocabularySize = source.Config.VocabularySize;
        _rowsPerStep = Math.Min(options.MaxStepRows, ContextLength);
        _blocks = [.. Enumerable.Range(0, (ContextLength + KvBlock.Positions - 1) / KvBlock.Positions)];
        var stageOptions = new StageOptions
        {
            KvBlockCount = _blocks.Length,
            KvType = options.KvType,
            MaxStepRows = _rowsPerStep,
            MaxSequenceLength = ContextLength,
        };
        _threads = new ComputeThreads(options.Threads);
        try
        {
            var plan = options.Plan ?? LocalStagePlan.Even(source.Config.LayerCount, options.Stages);
            _pipeline = LocalPipeline.Load(source, plan, stageOptions, _threads, bytesLoaded, cancellation);
        }
        catch
        {
            _threads.Dispose();
            throw;
        }
    }

    /// <summary>Positions that prompt and generated tokens may have together.</summary>
    public int ContextLength { get; }

    /// <summary>
    /// The tokens that follow a prompt, as they are sampled. The last one is a stop id, unless the limit of tokens or the end of the context
    /// came first.
    /// </summary>
    /// <param name="grammar">The form that the text must have; null: any.</param>
    /// <exception cref="ArgumentException">The prompt is empty or too long or has an unknown id, or an option is out of range.</exception>
    /// <exception cref="InvalidOperationException">The weights give numbers that are not finite, or the grammar cannot be followed.</exception>
    public IEnumerable<SampledToken> Generate(
        IReadOnlyList<int> prompt, SamplingOptions sampling, int maxTokens, IReadOnlySet<int> stopIds, FollowedGrammar? grammar = null,
        CancellationToken cancellation = default)
    {
        if (sampling.PromptLogprobs) throw new ArgumentException($"log-probabilities of a prompt are given by {nameof(Score)}", nameof(sampling));
        if (prompt.Count >= ContextLength) throw new ArgumentException($"the prompt has {prompt.Count} tokens; fewer than {ContextLength} fit", nameof(prompt));
        return maxTokens < 1 ? [] : Continue(prompt, sampling, Math.Min(maxTokens, ContextLength - prompt.Count), stopIds, grammar, cancellation);
    }

    /// <summary>Log-probabilities of all tokens but the first, each given those before it.</summary>
    /// <exception cref="ArgumentException">There are none or too many tokens, or unknown ids.</exception>
    /// <exception cref="InvalidOperationException">The weights give numbers that are not finite.</exception>
    public IReadOnlyList<SampledToken> Score(IReadOnlyList<int> tokens, int topLogprobs = 0, CancellationToken cancellation = default)
    {
        if (tokens.Count > ContextLength) throw new ArgumentException($"there are {tokens.Count} tokens; {ContextLength} fit", nameof(tokens));
        var id = ++_lastSequence;
        try
        {
            var options = new SamplingOptions { PromptLogprobs = true, TopLogprobs = topLogprobs };
            return [.. Read(id, tokens, options, sampleLast: false, grammar: null, cancellation).SelectMany(samples => samples.Prompt)];
        }
        finally
        {
            _pipeline.End(id);
        }
    }

    public void Dispose()
    {
        _pipeline.Dispose();
        _threads.Dispose();
    }

    IEnumerable<SampledToken> Continue(
        IReadOnlyList<int> prompt, SamplingOptions sampling, int maxTokens, IReadOnlySet<int> stopIds, FollowedGrammar? grammar, CancellationToken cancellation)
    {
        var id = ++_lastSequence;
        try
        {
            var sampled = Read(id, prompt, sampling, sampleLast: true, grammar, cancellation)[^1].Tokens[0];
            for (var count = 1; ; count++)
            {
                yield return sampled;
                if (count == maxTokens || stopIds.Contains(sampled.Id)) yield break;
                cancellation.ThrowIfCancellationRequested();
                sampled = Run(new Step([], [ChunkOf(id, prompt.Count + count - 1, [sampled.Id], sampleCount: 1)]))[0].Tokens[0];
            }
        }
        finally
        {
            _pipeline.End(id);
        }
    }

    /// <summary>Computes the tokens of a new sequence, some at a time.</summary>
    List<SequenceSamples> Read(
        ulong id, IReadOnlyList<int> tokens, SamplingOptions sampling, bool sampleLast, FollowedGrammar? grammar, CancellationToken cancellation)
    {
        if (SamplingRanges.FirstProblem(sampling, _vocabularySize) is { } problem) throw new ArgumentException($"sequence {id}: {problem}", nameof(sampling));
        if (tokens.Count == 0) throw new ArgumentException("there are no tokens", nameof(tokens));
        var samples = new List<SequenceSamples>();
        for (var start = 0; start < tokens.Count; start += _rowsPerStep)
        {
            cancellation.ThrowIfCancellationRequested();
            int[] part = [.. tokens.Skip(start).Take(_rowsPerStep)];
            var isLast = start + part.Length == tokens.Count;
            var chunk = ChunkOf(id, start, part, sampleLast && isLast ? 1 : 0);
            samples.AddRange(Run(new Step(start == 0 ? [new SequenceStart(id, sampling, tokens.Count, []) { Grammar = grammar }] : [], [chunk])));
        }
        return samples;
    }

    Chunk ChunkOf(ulong id, int start, int[] tokens, int sampleCount)
    {
        var held = BlocksFor(start);
        return new Chunk(id, start, tokens.Length, tokens, _blocks.AsMemory(held, BlocksFor(start + tokens.Length) - held), sampleCount);
    }

    static int BlocksFor(int positions) => (positions + KvBlock.Positions - 1) / KvBlock.Positions;

    IReadOnlyList<SequenceSamples> Run(Step step) => _pipeline.Run(step) switch
    {
        StepOutcome.Completed { Failures: [var failure, ..] } => throw new InvalidOperationException(failure.Reason),
        StepOutcome.Completed completed => completed.Samples,
        StepOutcome.Refused refused => throw new ArgumentException(refused.Reason),
        var other => throw new InvalidOperationException($"a step ended as {other}"),
    };
}
