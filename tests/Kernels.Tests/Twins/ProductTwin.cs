using LlamaCluster.Kernels;

namespace LlamaCluster.Kernels.Tests.Twins;

/// <summary>
/// The matrix product in plain loops over the stored bytes, as docs/numerics.md defines it to the bit: what every kernel must give.
/// </summary>
static class ProductTwin
{
    /// <summary>y[B, R] = x[B, C] . w[R, C]^T.</summary>
    public static float[] Multiply(TensorType type, ReadOnlySpan<byte> stored, int rows, int columns, float[] x)
    {
        var batch = x.Length / columns;
        var rowBytes = (int)type.RowBytes(columns);
        var y = new float[batch * rows];
        for (var b = 0; b < batch; b++)
            for (var r = 0; r < rows; r++)
            {
                var weights = stored.Slice(r * rowBytes, rowBytes);
                var input = x.AsSpan(b * columns, columns);
                y[b * rows + r] = type.BlockSize() == 1 ? DotFloats(type, weights, input) : DotBlocks(type, weights, input);
            }

        return y;
    }

    static float DotFloats(TensorType type, ReadOnlySpan<byte> stored, ReadOnlySpan<float> x)
    {
        var w = new float[x.Length];
        RowDecoder.Decode(type, stored, w);
        var total = 0f;
        for (var c = 0; c < w.Length; c++) total = MathF.FusedMultiplyAdd(w[c], x[c], total);
        return total;
    }

    static float DotBlocks(TensorType type, ReadOnlySpan<byte> stored, ReadOnlySpan<float> x)
    {
        var total = 0f;
        for (var block = 0; block < x.Length / 32; block++)
        {
            var perStored = type.BlockSize() / 32;
            var w = BlockTwin.Read(type, stored.Slice(block / perStored * type.BlockBytes(), type.BlockBytes()), block % perStored);
            var (q, a) = ActivationTwin.Quantize(x.Slice(block * 32, 32));
            total = w.AddTo(total, q, a);
        }

        return total;
    }
}
