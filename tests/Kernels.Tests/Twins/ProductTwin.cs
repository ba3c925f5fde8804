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
            // The plain reading of a scale's reach: 256 columns for types of such blocks, else 32.
            var reach = columns == 256 ? 256 : 32;
            for (var part = 0; part < columns / 32; part++)
            {
                var (q, a) = ActivationTwin.Quantize(x.Slice((block * columns) + (part * 32 / reach * reach), reach));
                var own = q.AsSpan(part * 32 % reach, 32).ToArray();
                var bytes = stored.Slice(block * type.BlockBytes(), type.BlockBytes());
                total = IntegerTwin.Read(type, bytes, part) is { } integers
                    ? integers.AddTo(total, own, a)
                    : BlockTwin.Read(type, bytes, part).AddTo(total, own, a);
            }
        }

        return total;
    }
}
