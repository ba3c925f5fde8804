using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>Twelve layers in three stages of four, as a rule. Block 0 was filled by step 5, block 1 by step 9.</summary>
public sealed class KeptPrefixesTests
{
    const ulong View = 7;
    const int Layers = 12;

    readonly KvBlockPool _last = new(8);
    readonly List<int> _held = [];

    public KeptPrefixesTests()
    {
        _last.TryAllocate(3, _held);
        _last.Publish(0, Key(0), new BlockFill(5, ScheduledChunk.AllLayers));
        _last.Publish(1, Key(1), new BlockFill(9, ScheduledChunk.AllLayers));
        _last.Publish(2, Key(2));   // a prefix that ends within it
    }

    [Fact]
    public void Whoever_ran_the_step_has_the_block() => Assert.Equal([(0, 0), (1, 0)], Of(Has(0, 4, ran: 9), Has(4, 4, ran: 9), Has(8, 4, ran: 12)));

    [Fact]
    public void What_the_first_stage_lost_lacks_its_layers() => Assert.Equal([(0, 4), (1, 4)], Of(Lost(0, 4), Has(4, 4, ran: 9), Has(8, 4, ran: 9)));

    [Fact]
    public void What_a_stage_in_the_middle_lost_lacks_all_layers_up_to_its_last() =>
        Assert.Equal([(0, 8), (1, 8)], Of(Has(0, 4, ran: 9), Lost(4, 4), Has(8, 4, ran: 9)));

    [Fact]
    public void What_the_last_stage_lost_is_lost() => Assert.Empty(Of(Has(0, 4, ran: 9), Has(4, 4, ran: 9), Lost(8, 4)));

    /// <summary>The last stage was not told of the step any more, or did not get to it.</summary>
    [Fact]
    public void What_the_last_stage_never_ran_is_lost() => Assert.Equal([(0, 0)], Of(Has(0, 4, ran: 9), Has(4, 4, ran: 9), Has(8, 4, ran: 8)));

    [Fact]
    public void What_a_stage_before_never_ran_lacks_its_layers() => Assert.Equal([(0, 0), (1, 4)], Of(Has(0, 4, ran: 8), Has(4, 4, ran: 9), Has(8, 4, ran: 9)));

    [Fact]
    public void Whoever_was_in_another_view_has_nothing() =>
        Assert.Equal([(0, 4), (1, 4)], Of(Has(0, 4, ran: 9, view: View - 1), Has(4, 4, ran: 9), Has(8, 4, ran: 9)));

    [Fact]
    public void A_block_that_is_not_whole_somewhere_lacks_its_layers_there()
    {
        var middle = Has(4, 4, ran: 9);
        var damaged = middle with { Ranks = [middle.Ranks[0]! with { From = [4, 8, 4] }] };
        Assert.Equal([(0, 0), (1, 8)], Of(Has(0, 4, ran: 9), damaged, Has(8, 4, ran: 9)));
    }

    [Fact]
    public void All_ranks_of_a_stage_must_have_it()
    {
        var both = new StageKeeps(new LayerRange(4, 4), [Has(4, 4, ran: 9).Ranks[0], Has(4, 4, ran: 5).Ranks[0]]);
        Assert.Equal([(0, 0), (1, 8)], Of(Has(0, 4, ran: 9), both, Has(8, 4, ran: 9)));
        Assert.Equal([(0, 8), (1, 8)], Of(Has(0, 4, ran: 9), both with { Ranks = [both.Ranks[0], null] }, Has(8, 4, ran: 9)));
        Assert.Empty(Of(Has(0, 8, ran: 9), new StageKeeps(new LayerRange(8, 4), [null, Has(8, 4, ran: 9).Ranks[0]])));
    }

    /// <summary>Layers move when fewer workers are left: what counts is from which layer on all of them hold the block.</summary>
    [Theory]
    [InlineData(6, 2, 8, 4, 6)]    // 0..7 of which the worker had 6 and 7; 8..11 as before
    [InlineData(0, 4, 8, 4, 8)]    // it had the first ones only
    [InlineData(0, 8, 10, 2, 10)]  // the last stage had 10 and 11
    [InlineData(0, 8, 8, 2, 12)]   // it had 8 and 9, which is of no use
    public void Layers_that_moved(int first, int firstCount, int last, int lastCount, int depth)
    {
        var stages = new[] { new StageKeeps(new LayerRange(0, 8), [Keeps(first, firstCount)]), new StageKeeps(new LayerRange(8, 4), [Keeps(last, lastCount)]) };
        (int, int)[] expected = depth == Layers ? [] : [(0, depth), (1, depth)];
        Assert.Equal(expected, Of(stages));
    }

    /// <summary>Block 0 only is in the journal of the stage before.</summary>
    [Fact]
    public void What_the_last_stage_lost_lacks_its_layers_if_the_stage_before_kept_what_it_sent()
    {
        StageKeeps Journal(ulong ran) => WithJournal(Has(4, 4, ran), 0);
        Assert.Equal([(0, 8, ScheduledChunk.AllLayers)], Lacks(Has(0, 4, ran: 9), Journal(ran: 9), Lost(8, 4)));
        Assert.Equal([(0, 8, ScheduledChunk.AllLayers)], Lacks(Has(0, 4, ran: 9), Journal(ran: 5), Lost(8, 4)));
        Assert.Empty(Lacks(Has(0, 4, ran: 9), Journal(ran: 4), Lost(8, 4)));
        Assert.Empty(Lacks(Lost(0, 4), Journal(ran: 9), Lost(8, 4)));
        Assert.Empty(Lacks(Has(0, 4, ran: 9), WithJournal(Has(4, 4, ran: 9, view: View - 1), 0), Lost(8, 4)));
        var moved = Journal(ran: 9) with { Layers = new LayerRange(4, 3) };   // it ends elsewhere now
        Assert.Equal([(1, 4, ScheduledChunk.AllLayers)], Lacks(WithJournal(Has(0, 4, ran: 9), 1), moved, Lost(7, 5)));
    }

    [Fact]
    public void The_last_journal_before_what_is_lacking_is_used()
    {
        var first = WithJournal(Has(0, 4, ran: 9), 0, 1);
        Assert.Equal([(0, 4, 8), (1, 4, 8)], Lacks(first, Lost(4, 4), Has(8, 4, ran: 9)));
        Assert.Equal([(0, 4, ScheduledChunk.AllLayers), (1, 4, ScheduledChunk.AllLayers)], Lacks(first, Has(4, 4, ran: 9), Lost(8, 4)));
        Assert.Equal([(0, 8, ScheduledChunk.AllLayers), (1, 4, ScheduledChunk.AllLayers)], Lacks(first, WithJournal(Has(4, 4, ran: 9), 0), Lost(8, 4)));
    }

    /// <summary>As many ranks of a stage send something as the next one has.</summary>
    [Fact]
    public void All_ranks_that_send_must_have_a_journal()
    {
        var stage = new StageKeeps(new LayerRange(0, 8), [WithJournal(Has(0, 8, ran: 9), 0, 1).Ranks[0], Has(0, 8, ran: 9).Ranks[0]]);
        Assert.Equal([(0, 8, ScheduledChunk.AllLayers), (1, 8, ScheduledChunk.AllLayers)], Lacks(stage, Lost(8, 4)));
        Assert.Empty(Lacks(stage, new StageKeeps(new LayerRange(8, 4), [null, null])));
    }

    /// <summary>A view in which the last stage was to be filled from a journal ended before, or after, it was.</summary>
    [Fact]
    public void A_block_that_was_filled_from_a_journal_needs_the_step_only_behind_it()
    {
        KvBlockPool filled = new(4,
        [
            new FullBlock(0, Key(0), BlockFill.Lacking(ScheduledChunk.AllLayers, 8)),
            new FullBlock(1, Key(1), BlockFill.Lacking(ScheduledChunk.AllLayers, 8)),
        ]);
        filled.Share(0);
        filled.Publish(0, Key(0), new BlockFill(3, ScheduledChunk.AllLayers, 8));
        (int, int, int)[] LacksAt(params StageKeeps[] stages) => Lacks(KeptPrefixes.Of(filled, View, stages, blocks: 4));
        var middle = WithJournal(Has(4, 4, ran: 0), 0, 1);

        Assert.Equal([(1, 8, ScheduledChunk.AllLayers), (0, 0, 0)], LacksAt(Has(0, 4, ran: 0), middle, Has(8, 4, ran: 3)));
        Assert.Equal([(1, 8, ScheduledChunk.AllLayers), (0, 8, ScheduledChunk.AllLayers)], LacksAt(Has(0, 4, ran: 0), middle, Has(8, 4, ran: 2)));
        Assert.Equal([(0, 0, 8)], LacksAt(Has(0, 4, ran: 0), Lost(4, 4), Has(8, 4, ran: 3)));
    }

    [Fact]
    public void Blocks_that_the_next_view_does_not_have_are_lost()
    {
        var stages = new[] { Has(0, 12, ran: 9) };
        Assert.Equal([0], KeptPrefixes.Of(_last, View, stages, blocks: 1).Select(full => full.Block));
        Assert.Empty(KeptPrefixes.Of(_last, View, [], blocks: 8));
    }

    /// <summary>In the layers behind a fill a block was there before the view began; whoever was not run for it has it all the same.</summary>
    [Fact]
    public void A_block_that_was_filled_in_the_first_layers_needs_the_step_only_there()
    {
        KvBlockPool filled = new(4, [new FullBlock(0, Key(0), BlockFill.Lacking(4)), new FullBlock(1, Key(1), BlockFill.Lacking(4))]);
        filled.Share(0);
        filled.Publish(0, Key(0), new BlockFill(3, 4));
        (int, int)[] DepthsAt(params StageKeeps[] stages) => Depths(KeptPrefixes.Of(filled, View, stages, blocks: 4));

        Assert.Equal([(1, 4), (0, 0)], DepthsAt(Has(0, 4, ran: 3), Has(4, 4, ran: 0), Has(8, 4, ran: 0)));
        Assert.Equal([(1, 4), (0, 4)], DepthsAt(Has(0, 4, ran: 2), Has(4, 4, ran: 0), Has(8, 4, ran: 0)));
        Assert.Equal([(1, 8), (0, 8)], DepthsAt(Has(0, 4, ran: 3), Lost(4, 4), Has(8, 4, ran: 0)));
        Assert.Equal([(1, 4), (0, 4)], DepthsAt(new StageKeeps(new LayerRange(0, 12), [Keeps(2, 10, ran: 0)])));
        Assert.Equal([(1, 4), (0, 2)], DepthsAt(new StageKeeps(new LayerRange(0, 12), [Keeps(2, 10, ran: 3)])));
    }

    [Fact]
    public void Blocks_come_in_the_order_in_which_they_are_used_again()
    {
        List<int> table = [];
        _last.TryAllocate(2, table);
        for (var i = 0; i < 2; i++) _last.Publish(table[i], Key(10 + i), new BlockFill(9, ScheduledChunk.AllLayers));
        _last.Release(table);
        Assert.Equal([4, 3, 0, 1], KeptPrefixes.Of(_last, View, [Has(0, 12, ran: 9)], blocks: 8).Select(full => full.Block));
    }

    (int Block, int Depth)[] Of(params StageKeeps[] stages) => Depths(KeptPrefixes.Of(_last, View, stages, blocks: 8));

    static (int Block, int Depth)[] Depths(IEnumerable<FullBlock> kept) => [.. kept.Select(full => (full.Block, full.Fill.IsLacking ? full.Fill.Depth : 0))];

    static (int Block, int From, int Depth)[] Lacks(IEnumerable<FullBlock> kept) =>
        [.. kept.Select(full => full.Fill.IsLacking ? (full.Block, full.Fill.From, full.Fill.Depth) : (full.Block, 0, 0))];

    (int Block, int From, int Depth)[] Lacks(params StageKeeps[] stages) => Lacks(KeptPrefixes.Of(_last, View, stages, blocks: 8));

    static StageKeeps WithJournal(StageKeeps stage, params int[] blocks) =>
        stage with { Ranks = [.. stage.Ranks.Select(rank => rank! with { Journal = [.. Enumerable.Range(0, 8).Select(block => blocks.Contains(block))] })] };

    static StageKeeps Has(int first, int count, ulong ran, ulong view = View) => new(new LayerRange(first, count), [Keeps(first, count, ran, view)]);

    static StageKeeps Lost(int first, int count) => new(new LayerRange(first, count), [null]);

    static WorkerKeeps Keeps(int first, int count, ulong ran = 9, ulong view = View) =>
        new(new LayerRange(first, count), new Dictionary<ulong, ulong> { [view] = ran }, [.. Enumerable.Repeat(first, 8)]);

    static PrefixCacheKey Key(int number) => new((UInt128)number, 1);
}
