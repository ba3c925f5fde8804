using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>A pool does, over any sequence of operations, what lists of holders and a dictionary of hashes would.</summary>
public sealed class KvBlockPoolPropertyTests
{
    const int Blocks = 6;
    const int Tables = 4;

    /// <param name="Kind">0: allocate, 1: share what is found, 2: publish, 3: release.</param>
    public sealed record Operation(int Kind, int Table, int Count, int Prefix);

    static readonly Arbitrary<Operation[]> Operations = Arb.From(Gen.ArrayOf(
        from kind in Gen.Choose(0, 3)
        from table in Gen.Choose(0, Tables - 1)
        from count in Gen.Choose(0, 4)
        from prefix in Gen.Choose(0, 7)
        select new Operation(kind, table, count, prefix)).Resize(60));

    [Fact]
    public void Blocks_are_in_one_place_and_found_where_they_were_published() => Prop.ForAll(Operations, operations =>
    {
        var pool = new KvBlockPool(Blocks);
        List<int>[] tables = [.. Enumerable.Range(0, Tables).Select(_ => new List<int>())];
        Dictionary<int, int> published = [];   // which block should be found by a prefix
        foreach (var operation in operations)
        {
            Apply(pool, tables, published, operation);
            var holders = Enumerable.Range(0, Blocks).Select(block => tables.Sum(table => table.Count(other => other == block))).ToList();
            Assert.Equal(holders, Enumerable.Range(0, Blocks).Select(pool.HoldersOf));
            Assert.Equal(holders.Count(count => count > 0), pool.Held);
            Assert.Equal(published.Values.Distinct().Count(block => holders[block] == 0), pool.Cached);
            Assert.Equal(Blocks, pool.Held + pool.Cached + pool.Free);
            foreach (var prefix in Enumerable.Range(0, 8)) Assert.Equal(published.TryGetValue(prefix, out var block) ? block : null, pool.Find(Hash(prefix)));
        }
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(500).WithReplay(20251122, 1));

    static void Apply(KvBlockPool pool, List<int>[] tables, Dictionary<int, int> published, Operation operation)
    {
        var table = tables[operation.Table];
        switch (operation.Kind)
        {
            case 0:
                var (available, before) = (pool.Available, table.Count);
                Assert.Equal(operation.Count <= available, pool.TryAllocate(operation.Count, table));
                foreach (var block in table[before..])
                    foreach (var (prefix, _) in published.Where(pair => pair.Value == block)) published.Remove(prefix);
                break;
            case 1:
                if (pool.Find(Hash(operation.Prefix)) is not { } found || table.Contains(found)) break;
                pool.Share(found);
                table.Add(found);
                break;
            case 2:
                if (table.Count == 0) break;
                pool.Publish(table[^1], Hash(operation.Prefix));
                published.TryAdd(operation.Prefix, table[^1]);
                break;
            default:
                pool.Release(table);
                break;
        }
    }

    static PrefixCacheKey Hash(int prefix) => new((UInt128)prefix, 0);
}
