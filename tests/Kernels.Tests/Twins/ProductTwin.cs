using LlamaCluster.Kernels.Formats;
using LlamaCluster.Primitives;

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
        var columns = type.BlockSize();
        for (var block = 0; block < x.Length / columns; block++)
        {
            var (q, a) = ActivationTwin.Quantize(x.Slice(block * columns, columns));
            for (var part = 0; part < columns / 32; part++)
            {
                var w = BlockTwin.Read(type, stored.Slice(block * type.BlockBytes(), type.BlockBytes()), part);
                total = w.AddTo(total, q[(part * 32)..((part + 1) * 32)], a);
            }
        }

        return total;
    }
}
