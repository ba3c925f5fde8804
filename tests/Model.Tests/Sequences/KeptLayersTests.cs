using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Sequences;

/// <summary>Layers of KV that come apart and together again, on one worker or from one to another.</summary>
public sealed class KeptLayersTests
{
    static readonly KvBlockLayout Layout = new(KvType.F16, KvHeads: 1, HeadSize: 2);

    static int LayerBytes => (int)Layout.Bytes;

    [Theory]
    [InlineData(KvType.F32)]
    [InlineData(KvType.F16)]
    [InlineData(KvType.Q8_0)]
    public void What_is_copied_out_can_be_copied_in_elsewhere(KvType type)
    {
        var layout = Layout with { Type = type, KvHeads = 3, HeadSize = 34 };
        var bytes = new byte[2 * layout.Bytes];
        new Random(1).NextBytes(bytes);
        using var source = KeptBlocks.Blank(_ => layout, 4, 6, blocks: 3);
        source.CopyIn(2, bytes);
        using var target = KeptBlocks.Blank(_ => layout, 5, 6, blocks: 5);
        var one = new byte[layout.Bytes];
        Assert.True(source.TryCopyOut(2, 5, 6, one));
        target.CopyIn(2, one);
        var again = new byte[layout.Bytes];
        Assert.True(target.TryCopyOut(2, 5, 6, again));
        Assert.Equal(bytes[^again.Length..], again);
        Assert.Equal([6, 6, 5, 6, 6], target.States.From);
    }

    [Fact]
    public void Nothing_is_copied_out_that_is_not_there_or_cannot_be_used()
    {
        using var kept = Filled(4, 8, blocks: 4, 1, 2);
        var bytes = new byte[4 * LayerBytes];
        Assert.True(kept.TryCopyOut(1, 4, 8, bytes));
        foreach (var (block, first, end) in new[] { (0, 4, 8), (4, 4, 8), (-1, 4, 8), (1, 3, 8), (1, 4, 9) })
            Assert.False(kept.TryCopyOut(block, first, end, bytes), $"block {block} of layers {first} to {end}");
        kept.TakeOut(6, 7)!.Dispose();
        Assert.False(kept.TryCopyOut(1, 4, 8, bytes));
        Assert.True(kept.TryCopyOut(1, 4, 6, bytes));
        Assert.True(kept.TryCopyOut(2, 7, 8, bytes));
    }

    /// <summary>What is there in the lower layers only is of no use, since it does not reach up to the last one.</summary>
    [Fact]
    public void Joined_layers_hold_what_both_do_and_what_the_upper_ones_do()
    {
        using var joined = KeptBlocks.Join(Filled(0, 4, blocks: 6, 0, 1), Filled(4, 6, blocks: 5, 1, 2));
        Assert.Equal((0, 6), (joined.States.FirstLayer, joined.States.EndLayer));
        Assert.Equal([6, 0, 4, 6, 6], joined.States.From);
        Assert.Equal(6 * 5 * LayerBytes, joined.Bytes);
        var bytes = new byte[6 * LayerBytes];
        Assert.True(joined.TryCopyOut(1, 0, 6, bytes));
        Assert.Equal(Enumerable.Range(0, 6).Select(layer => Number(layer, 1)), Enumerable.Range(0, 6).Select(layer => bytes[layer * LayerBytes]));
    }

    [Fact]
    public void Layers_that_do_not_meet_are_not_joined()
    {
        using var joined = KeptBlocks.Join(Filled(0, 3, blocks: 2, 0), Filled(4, 6, blocks: 2, 1));
        Assert.Equal((4, 6, 2L * 2 * LayerBytes), (joined.States.FirstLayer, joined.States.EndLayer, joined.Bytes));
    }

    [Fact]
    public void A_part_of_joined_layers_is_whole_as_far_up_as_it_goes()
    {
        var states = new KeptStates(0, 6, [0, 2, 4, 6]);
        Assert.Equal([0, 2, 4, 4], states.Within(0, 4).From);
        Assert.Equal([3, 3, 4, 6], states.Within(3, 9).From);
        Assert.Equal([true, false, false, false], Enumerable.Range(0, 4).Select(states.IsWhole));
    }

    [Theory]
    [InlineData(2, 9)]
    [InlineData(0, 2)]
    [InlineData(2, 4)]
    public void Layers_that_were_taken_out_can_be_put_back(int first, int end)
    {
        var kept = Filled(0, 6, blocks: 4, 0, 3);
        var taken = kept.TakeOut(first, end)!;
        Assert.Equal((first, Math.Min(6, end)), (taken.States.FirstLayer, taken.States.EndLayer));
        Assert.Equal(6L * 4 * LayerBytes, kept.Bytes + taken.Bytes);
        Assert.Null(kept.TakeOut(6, 9));
        taken.KeepFirst(3);
        using var again = KeptBlocks.Join(kept, taken);
        Assert.Equal([0, 6, 6], again.States.From);
        var bytes = new byte[6 * LayerBytes];
        Assert.True(again.TryCopyOut(0, 0, 6, bytes));
        Assert.Equal(Enumerable.Range(0, 6).Select(layer => Number(layer, 0)), Enumerable.Range(0, 6).Select(layer => bytes[layer * LayerBytes]));
    }

    /// <summary>Others were put below those that were taken out meanwhile.</summary>
    [Fact]
    public void Layers_that_were_taken_out_can_be_put_back_with_more()
    {
        var kept = Filled(4, 8, blocks: 4, 0, 3);
        var more = KeptBlocks.Join(Filled(3, 4, blocks: 4, 0), kept.TakeOut(4, 6)!);
        using var again = KeptBlocks.Join(kept, more);
        Assert.Equal([3, 8, 8, 4], again.States.From);
        Assert.Equal(5L * 4 * LayerBytes, again.Bytes);
    }

    static byte Number(int layer, int block) => (byte)(1 + layer + (16 * block));

    static KeptBlocks Filled(int first, int end, int blocks, params int[] filled)
    {
        var kept = KeptBlocks.Blank(_ => Layout, first, end, blocks);
        foreach (var block in filled)
            kept.CopyIn(block, [.. Enumerable.Range(first, end - first).SelectMany(layer => Enumerable.Repeat(Number(layer, block), LayerBytes))]);
        return kept;
    }
}
