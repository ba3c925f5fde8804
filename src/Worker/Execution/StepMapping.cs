using System.Diagnostics;
using System.Runtime.InteropServices;
using Google.Protobuf;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.KvDisk;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Steps as the stage takes them. Checked here is what decides how much is allocated, and the facts of each new sequence. What the stage
/// knows itself (its sequences, its blocks) it checks itself.
/// <para>
/// A step that contradicts itself is refused as a whole. Bad facts of one sequence fail that sequence only: it starts with a problem.
/// </para>
/// </summary>
static class StepMapping
{
    const int MaxRequestId = 128;
    const int MostMoves = 4096;

    /// <param name="maxRows">The most positions that a step may bring in this view.</param>
    /// <param name="vocabularySize">The greatest V of any sequence; the stage knows each one's own.</param>
    /// <param name="histories">What has come for the step's new sequences.</param>
    /// <param name="grammars">The same.</param>
    /// <exception cref="InvalidMessageException">One line: which field of which sequence, and what is wrong with it.</exception>
    public static StageWork.RunStep ToWork(this Wire.StepPlan plan, int maxRows, int vocabularySize, HistoryParts histories, SequenceGrammars grammars)
    {
        Field.Count("chunks", plan.Chunks.Count, 1, maxRows);
        Field.Count("new_sequences", plan.NewSequences.Count, 0, maxRows);
        Field.Count("copies", plan.Copies.Count, 0, maxRows);
        long rows = 0;
        foreach (var chunk in plan.Chunks) rows += Field.Count($"count of sequence {chunk.SequenceId}", chunk.Count, 1, maxRows);
        var step = new Step(
            [.. plan.NewSequences.Select(facts => grammars.Complete(ToStart(facts, vocabularySize, histories)))], [.. plan.Chunks.Select(ToChunk)])
        {
            Copies = [.. plan.Copies.Select(copy => new BlockCopy(copy.Source, copy.Target))],
        };
        return new StageWork.RunStep(plan.StepId, step, Field.Count("positions of all chunks", rows, 1, maxRows))
        {
            Requests = [.. plan.NewSequences.Select(ToRequest).OfType<SequenceRequest>()],
        };
    }

    /// <param name="maxRows">The most positions that a step may bring in this view.</param>
    /// <exception cref="InvalidMessageException">One line: which field, and what is wrong with it.</exception>
    public static StageWork.Replay ToWork(this Wire.Replay replay, int maxRows)
    {
        Field.Count("chunks", replay.Chunks.Count, 1, maxRows);
        long rows = 0;
        foreach (var chunk in replay.Chunks)
        {
            Field.Count("first of a replayed chunk", chunk.First, 0, KvBlock.Positions - 1);
            rows += Field.Count("count of a replayed chunk", chunk.Count, 1, maxRows);
            var blocks = KvBlock.CountFor(chunk.First + chunk.Count);
            Field.Count("blocks of a replayed chunk", chunk.Blocks.Count, blocks, blocks);
        }
        return new StageWork.Replay(
            replay.StepId, [.. replay.Chunks.Select(chunk => new ReplayedChunk(chunk.First, chunk.Count, chunk.Blocks))],
            Field.Count("positions of all chunks", rows, 1, maxRows));
    }

    /// <exception cref="InvalidMessageException">One line: which field, and what is wrong with it.</exception>
    public static StageWork.MoveBlocks ToWork(this Wire.BlockMoves moves)
    {
        Field.Count("spills", moves.Spills.Count, 0, MostMoves);
        Field.Count("restores", moves.Restores.Count, 0, MostMoves);
        return new StageWork.MoveBlocks(
            [.. moves.Spills.Select(spill => (spill.Block, ToKeys("key of a spill", spill.Key, 1)[0]))],
            [.. moves.Restores.Select(ToRestore)],
            ToKeys("used", moves.Used, moves.Used.Length / PrefixCacheKey.Size),
            moves.GivenUp);
    }

    static Restore ToRestore(Wire.BlockRestore restore) =>
        new(restore.RestoreId, [.. restore.Blocks.Zip(ToKeys($"keys of restore {restore.RestoreId}", restore.Keys, restore.Blocks.Count))]);

    static PrefixCacheKey[] ToKeys(string field, ByteString bytes, int count) => bytes.Length == count * PrefixCacheKey.Size
        ? PrefixCacheKey.ReadAll(bytes.Span)
        : throw new InvalidMessageException($"{field} has {bytes.Length} bytes, not {count} times {PrefixCacheKey.Size}");

    static Chunk ToChunk(Wire.SequenceChunk chunk) => new(
        chunk.SequenceId, chunk.Start, chunk.Count, chunk.Tokens.ToArray(), chunk.NewBlocks.ToArray(), chunk.SampleCount)
    {
        Depth = chunk.Depth == 0 ? int.MaxValue : Field.Count($"depth of sequence {chunk.SequenceId}", chunk.Depth, 1, int.MaxValue),
    };

    static SequenceStart ToStart(Wire.SequenceFacts facts, int vocabularySize, HistoryParts histories)
    {
        var history = histories.Take(facts.SequenceId);
        var sampling = facts.Sampling?.ToOptions() ?? new SamplingOptions();
        // With a problem, nothing of the bad facts may reach the stage.
        return FirstProblem(facts, sampling, vocabularySize) is { } problem
            ? new SequenceStart(facts.SequenceId, new SamplingOptions(), 0, []) { Problem = problem }
            : new SequenceStart(facts.SequenceId, sampling, (int)facts.PromptLength, history) { AdapterId = facts.AdapterId };
    }

    static string? FirstProblem(Wire.SequenceFacts facts, SamplingOptions sampling, int vocabularySize) =>
        facts.PromptLength > int.MaxValue ? $"prompt_length is {facts.PromptLength}, more than {int.MaxValue}"
        : !IsRequestId(facts.RequestId) ? $"request_id must be at most {MaxRequestId} visible ASCII characters"
        : SamplingRanges.FirstProblem(sampling, vocabularySize);

    /// <summary>Null where the facts name no request.</summary>
    static SequenceRequest? ToRequest(Wire.SequenceFacts facts)
    {
        var requestId = IsRequestId(facts.RequestId) ? facts.RequestId : "";
        // A trace that cannot be read is no reason not to serve.
        var traced = ActivityContext.TryParse(facts.TraceParent, traceState: null, isRemote: true, out var trace);
        return traced || requestId.Length > 0
            ? new SequenceRequest(facts.SequenceId, requestId, trace, (int)Math.Min(facts.PromptLength, int.MaxValue))
            : null;
    }

    static bool IsRequestId(string text) => text.Length <= MaxRequestId && !text.AsSpan().ContainsAnyExceptInRange('!', '~');
}

/// <summary>Histories of sequences that a coming step will introduce. They come in parts, so that no message is too large.</summary>
/// <param name="maxSequences">The most sequences that may have a history here before they are introduced.</param>
/// <param name="maxLength">The most tokens of one history.</param>
sealed class HistoryParts(int maxSequences, int maxLength)
{
    readonly Dictionary<ulong, List<int>> _parts = [];

    /// <exception cref="InvalidMessageException">There are more sequences or tokens than there may be.</exception>
    public void Add(Wire.HistoryPart part)
    {
        ref var tokens = ref CollectionsMarshal.GetValueRefOrAddDefault(_parts, part.SequenceId, out var known);
        if (!known) tokens = [];
        Field.Count("sequences with a history", _parts.Count, 1, maxSequences);
        Field.Count($"history of sequence {part.SequenceId}", (long)tokens!.Count + part.Tokens.Count, 1, maxLength);
        tokens.AddRange(part.Tokens);
    }

    /// <summary>The tokens that came for a sequence. They are forgotten here.</summary>
    public IReadOnlyList<int> Take(ulong sequenceId) => _parts.Remove(sequenceId, out var tokens) ? tokens : [];
}
