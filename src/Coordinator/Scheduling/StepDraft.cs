using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// A step while it is put together. It keeps count of the bytes that the largest of its messages to the workers can have. The counts are bounds
/// from above on the wire's form (see steps.proto): an id or an entry is taken to be as long as it can get.
/// </summary>
sealed class StepDraft(int maxBytes)
{
    // Of each: tag, and length or value.
    const int StepBytes = 64;
    const int ChunkBytes = 64;
    const int FactsBytes = 128;
    const int TextBytes = 6;   // before the text itself
    const int TokenBytes = 5;
    const int BlockBytes = 5;
    const int BiasBytes = 14;
    const int CopyBytes = 16;

    readonly List<ScheduledChunk> _chunks = [];
    readonly List<BlockCopy> _copies = [];
    long _bytes = StepBytes;

    public bool IsEmpty => _chunks.Count == 0;

    public List<ScheduledChunk> Chunks => _chunks;

    public int Rows { get; private set; }

    /// <summary>
    /// Whether a chunk can be added. The first always can: one sequence alone keeps the budget, since its facts, tokens and blocks are bounded. Others go
    /// through the layers from the same one on.
    /// </summary>
    /// <param name="newBlocks">At most.</param>
    public bool HasRoomFor(SequenceRun run, int rows, int newBlocks) =>
        IsEmpty || (run.NextFrom == _chunks[0].From && _bytes + BytesOf(run, rows, newBlocks) <= maxBytes);

    public void Add(ScheduledChunk chunk)
    {
        var run = chunk.Run;
        _chunks.Add(chunk);
        Rows += chunk.Count;
        _bytes += BytesOf(run, chunk.Count, chunk.NewBlocks.Count + chunk.KnownBlocks.Count, chunk.Introduces || chunk.KnownDepth > 0);
        if (run.Copy is { } copy) _copies.Add(copy);
        run.Copy = null;
    }

    /// <param name="ended">Sequences that the workers must forget before this step.</param>
    /// <param name="moves">To be made before it, after the ends.</param>
    public ScheduledStep ToStep(IReadOnlyList<ulong> ended, BlockMoves? moves)
    {
        var isEven = _chunks.TrueForAll(chunk => chunk.Depth == ScheduledChunk.AllLayers);
        return new(isEven ? _chunks : [.. _chunks.OrderByDescending(chunk => chunk.Depth)], _copies, ended) { Moves = moves };
    }

    static long BytesOf(SequenceRun run, int rows, int newBlocks)
    {
        var joins = run.Announced && run.FillEnd > 0 && run.Scheduled == run.FillEnd;
        return BytesOf(run, rows, joins ? newBlocks + run.BlocksAnnounced : newBlocks, introduces: !run.Announced || joins);
    }

    static long BytesOf(SequenceRun run, int rows, int newBlocks, bool introduces)
        => ChunkBytes + ((long)rows * TokenBytes) + ((long)newBlocks * BlockBytes) + (introduces ? BytesOfFacts(run) : 0);

    static long BytesOfFacts(SequenceRun run)
    {
        var request = run.Sequence.Request;
        return FactsBytes + CopyBytes + ((long)request.Sampling.LogitBias.Count * BiasBytes) + ((long)request.Sampling.EndIds.Count * TokenBytes)
            + TextBytes + request.RequestId.Length + TextBytes + request.TraceParent.Length;
    }
}
