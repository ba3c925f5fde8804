using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>
/// The disks of workers that all have the same KV cache, the test's. Each keeps so many blocks, gives up what was not used for longest, now and then
/// cannot write or read one, and answers when the test says so. Only some of what is ordered has an answer at a time.
/// </summary>
sealed class FakeDisks(FakeKv kv, int workers, int capacity, int seed)
{
    /// <summary>One in so many blocks cannot be written, or not be read.</summary>
    const int Trouble = 12;

    readonly Random _random = new(seed);
    readonly List<(PrefixCacheKey Key, ulong[] Content)>[] _kept =   // least recently used first
        [.. Enumerable.Range(0, workers).Select(_ => new List<(PrefixCacheKey, ulong[])>())];

    readonly Queue<Func<DiskReport>> _answers = [];
    readonly HashSet<ulong> _givenUp = [];

    public bool AnyAnswer => _answers.Count > 0;

    public int SpillsUnderWay { get; private set; }

    /// <summary>Blocks that were read, and put back by all.</summary>
    public int Restored { get; private set; }

    public int Failed { get; private set; }

    public void Move(BlockMoves moves)
    {
        _givenUp.UnionWith(moves.GivenUp);
        foreach (var spill in moves.Spills)
        {
            SpillsUnderWay++;
            var content = kv.CopyOut(spill.Block);
            Assert.DoesNotContain(0ul, content);
            for (var worker = 0; worker < workers; worker++)
            {
                var (to, last) = (worker, worker == workers - 1);
                _answers.Enqueue(() =>
                {
                    if (last) SpillsUnderWay--;
                    return Keep(to, spill.Key, content);
                });
            }
        }
        foreach (var kept in _kept)
            foreach (var key in moves.Used)
                if (kept.FindIndex(one => one.Key == key) is >= 0 and var at)
                {
                    kept.Add(kept[at]);
                    kept.RemoveAt(at);
                }
        foreach (var restore in moves.Restores)
        {
            var read = new ulong[restore.Blocks.Count][];
            var most = restore.Blocks.Count;
            for (var worker = 0; worker < workers; worker++)
            {
                var from = worker;
                _answers.Enqueue(() =>
                {
                    if (_givenUp.Contains(restore.Id)) return new DiskReport.Restored(from, restore.Id, 0);
                    foreach (var block in restore.Blocks) Assert.True(kv.IsFree(block.Block), $"block {block.Block} is held while it is read");
                    var count = 0;
                    while (count < restore.Blocks.Count && Read(from, restore.Blocks[count].Key) is { } content) read[count++] = content;
                    most = Math.Min(most, count);
                    if (most < restore.Blocks.Count) Failed++;
                    // The last to answer has the cache that the test looks at.
                    for (var i = 0; i < most && from == workers - 1; i++, Restored++) kv.CopyIn(restore.Blocks[i].Block, read[i]);
                    return new DiskReport.Restored(from, restore.Id, count);
                });
            }
        }
    }

    /// <summary>The next answer.</summary>
    public DiskReport Answer() => _answers.Dequeue()();

    DiskReport.Changed Keep(int worker, PrefixCacheKey key, ulong[] content)
    {
        var kept = _kept[worker];
        if (kept.Exists(one => one.Key == key)) return new DiskReport.Changed(worker, [key], [], 1);
        if (_random.Next(Trouble) == 0) return new DiskReport.Changed(worker, [], [], 1);
        List<PrefixCacheKey> dropped = [];
        if (kept.Count == capacity)
        {
            dropped.Add(kept[0].Key);
            kept.RemoveAt(0);
        }
        kept.Add((key, content));
        return new DiskReport.Changed(worker, [key], dropped, 1);
    }

    ulong[]? Read(int worker, PrefixCacheKey key)
    {
        var at = _kept[worker].FindIndex(one => one.Key == key);
        if (at < 0) return null;
        if (_random.Next(Trouble) > 0) return _kept[worker][at].Content;
        _kept[worker].RemoveAt(at);   // a real worker says so too; that it does not here must do no harm
        return null;
    }
}
