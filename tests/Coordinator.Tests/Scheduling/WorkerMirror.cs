using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>
/// What a worker knows of sequences and blocks, told by nothing but steps and ends. Fails the test on whatever a real worker would
/// refuse: an unknown sequence, a chunk that does not go on where the last one ended, a block that another sequence has or that is missing.
/// </summary>
sealed class WorkerMirror(int blockCount, SchedulerLimits limits)
{
    readonly Dictionary<ulong, (int Position, List<int> Blocks)> _sequences = [];
    readonly ulong[] _owners = new ulong[blockCount];

    public IEnumerable<ulong> Sequences => _sequences.Keys;

    public void Run(ScheduledStep step)
    {
        End(step.Ended);
        Assert.InRange(step.Rows, 1, limits.MaxStepRows);
        Assert.Equal(step.Chunks.Count, step.Chunks.DistinctBy(chunk => chunk.Sequence.Id).Count());
        foreach (var chunk in step.Chunks) Run(chunk);
    }

    public void End(IEnumerable<ulong> sequences)
    {
        foreach (var id in sequences)
        {
            Assert.True(_sequences.Remove(id, out var known), $"sequence {id} ends but was not known");
            foreach (var block in known.Blocks) _owners[block] = 0;
        }
    }

    void Run(ScheduledChunk chunk)
    {
        var id = chunk.Sequence.Id;
        if (chunk.Introduces) Assert.True(_sequences.TryAdd(id, (0, [])), $"sequence {id} is introduced twice");
        Assert.True(_sequences.TryGetValue(id, out var known), $"sequence {id} is not known");
        Assert.Equal(known.Position, chunk.Start);
        foreach (var block in chunk.NewBlocks)
        {
            Assert.True(_owners[block] == 0, $"block {block} is given to sequence {id} while sequence {_owners[block]} has it");
            _owners[block] = id;
            known.Blocks.Add(block);
        }
        Assert.Equal(KvBlockPool.BlocksFor(chunk.Start + chunk.Count), known.Blocks.Count);
        _sequences[id] = (chunk.Start + chunk.Count, known.Blocks);
    }
}
