using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Kernels.Tests.Attention;

/// <summary>Layers outlive the pool that they were made for, with what they hold.</summary>
public sealed class KvLayerTests
{
    static readonly KvBlockLayout Layout = new(KvType.F16, KvHeads: 1, HeadSize: 4);

    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(9)]
    public void Layers_in_another_pool_hold_what_they_held(int blocks)
    {
        var first = new KvPool(Layout, layers: 3, blocks: 5);
        for (var block = 0; block < 5; block++) first.CopyIn(block, Bytes(first, seed: block));
        var layers = first.TakeLayers();
        first.Dispose();

        using var second = new KvPool(blocks, layer => layers[layer].Resize(blocks), layers.Count);
        for (var block = 0; block < Math.Min(5, blocks); block++) Assert.Equal(Bytes(second, seed: block), Content(second, block));
        for (var block = 5; block < blocks; block++) Assert.Equal(new byte[second.BlockBytes], Content(second, block));
        Assert.Equal(Layout.Bytes * 3 * blocks, second.Bytes);
    }

    [Fact]
    public void A_pool_whose_layers_were_taken_has_none_to_give()
    {
        using var pool = new KvPool(Layout, layers: 1, blocks: 1);
        foreach (var layer in pool.TakeLayers()) layer.Dispose();
        Assert.Throws<ObjectDisposedException>(pool.TakeLayers);
    }

    static byte[] Bytes(KvPool pool, int seed)
    {
        var bytes = new byte[pool.BlockBytes];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    static byte[] Content(KvPool pool, int block)
    {
        var bytes = new byte[pool.BlockBytes];
        pool.CopyOut(block, bytes);
        return bytes;
    }
}
