using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>
/// What a worker knows of sequences and blocks, told by nothing but steps and ends. Fails the test on whatever a real worker would
/// refuse: an unknown sequence, a chunk that does not go on where the last one ended, a block that another sequence has or that is missing;
/// and on what it could not see: KV that was computed from other tokens than the sequence's.
/// </summary>
sealed class WorkerMirror(int blockCount, SchedulerLimits limits)
{
    readonly Dictionary<ulong, (int Position, int Drafts, List<int> Blocks)> _sequences = [];
    readonly FakeKv _kv = new(blockCount);

    public IEnumerable<ulong> Sequences => _sequences.Keys;

    public FakeKv Kv => _kv;

    /// <summary>Where it keeps blocks; null: nowhere.</summary>
    public FakeDisks? Disks { get; set; }

    public void Run(ScheduledStep step)
    {
        End(step.Ended);
        if (step.Moves is { } moves) Disks!.Move(moves);
        Assert.InRange(step.Rows, 1, limits.MaxStepRows);
        Assert.Equal(step.Chunks.Count, step.Chunks.DistinctBy(chunk => chunk.Run.Id).Count());
        foreach (var (source, target) in step.Copies) Assert.Null(_kv.Copy(source, target));
        foreach (var chunk in step.Chunks) Run(chunk);
    }

    public void End(IEnumerable<ulong> sequences)
    {
        foreach (var id in sequences)
        {
            Assert.True(_sequences.Remove(id, out var known), $"sequence {id} ends but was not known");
            _kv.Release(known.Blocks);
        }
    }

    void Run(ScheduledChunk chunk)
    {
        var id = chunk.Run.Id;
        if (chunk.Introduces) Assert.True(_sequences.TryAdd(id, (chunk.Start, 0, [])), $"sequence {id} is introduced twice");
        Assert.True(_sequences.TryGetValue(id, out var known), $"sequence {id} is not known");
        Assert.InRange(chunk.Start, known.Position - known.Drafts, known.Position);
        Assert.InRange(chunk.Drafts.Count, 0, limits.MaxDraftTokens);
        if (chunk.Drafts.Count > 0) Assert.Equal(chunk.Drafts.Count + 1, chunk.SampleCount);
        Assert.Null(_kv.Extend(known.Blocks, chunk.NewBlocks));
        var end = chunk.Start + chunk.Count;
        // One more may be left of drafts that were wrong.
        Assert.InRange(known.Blocks.Count, KvBlock.CountFor(end), KvBlock.CountFor(end) + 1);
        Assert.InRange(end, 1, chunk.Run.Sequence.MaxPositions);
        int[] tokens = [.. chunk.Run.Tokens.Take(end - chunk.Drafts.Count), .. chunk.Drafts];
        if (chunk.Introduces && chunk.Start > 0) Assert.Equal(FakeModel.Kv(tokens.Take(chunk.Start)), _kv.At(known.Blocks, chunk.Start - 1));
        Assert.Equal(FakeModel.Kv(tokens), _kv.Write(known.Blocks, chunk.Start, tokens.Skip(chunk.Start), out var problem));
        Assert.Null(problem);
        _sequences[id] = (end, chunk.Drafts.Count, known.Blocks);
    }
}
