using System.Runtime.InteropServices;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// Two ranks may have columns of the same block of a matrix. The block's activations are then scaled by the greatest value of both ranks, as one
/// worker would scale them, so that they become the same integers. This costs one more message. Large models can be cut between blocks and need none.
/// </summary>
sealed class SharedBlocks(IRankExchange exchange, int maxRows)
{
    /// <summary>The numbers of the first and the last scale, then the greatest magnitude of each row under the first, then under the last.</summary>
    readonly float[] _own = new float[2 + (2 * maxRows)];
    readonly float[] _first = new float[maxRows];
    readonly float[] _last = new float[maxRows];

    /// <param name="a">[B, columns], which are set in <paramref name="inputs"/>.</param>
    public void Scale(ColumnSlice w, ReadOnlySpan<float> a, int columns, MatMulInput inputs)
    {
        var (rows, reach) = (inputs.Rows, w.Matrix.Type.ActivationsPerScale());
        var own = _own.AsSpan(0, 2 + (2 * rows));
        var (begin, end) = (w.First + w.Before, w.First + w.Before + columns);
        var (first, last) = (begin / reach, (end - 1) / reach);
        (own[0], own[1]) = (BitConverter.Int32BitsToSingle(first), BitConverter.Int32BitsToSingle(last));
        for (var row = 0; row < rows; row++)
        {
            var x = a.Slice(row * columns, columns);
            own[2 + row] = Greatest(x[..Math.Min(columns, ((first + 1) * reach) - begin)]);
            own[2 + rows + row] = Greatest(x[Math.Max(0, (last * reach) - begin)..]);
        }
        exchange.AllGather(MemoryMarshal.AsBytes(own));

        _first.AsSpan(0, rows).Clear();
        _last.AsSpan(0, rows).Clear();
        for (var rank = 0; rank < exchange.RankCount; rank++)
        {
            var given = Given(rank, own.Length);
            for (var edge = 0; edge < 2; edge++)
            {
                var number = BitConverter.SingleToInt32Bits(given[edge]);
                var magnitudes = given.Slice(2 + (edge * rows), rows);
                if (number == first) Raise(_first, magnitudes);
                if (number == last) Raise(_last, magnitudes);
            }
        }
        inputs.ScaleEdges(_first.AsSpan(0, rows), _last.AsSpan(0, rows));
    }

    ReadOnlySpan<float> Given(int rank, int length)
    {
        var given = MemoryMarshal.Cast<byte, float>(exchange.Gathered(rank));
        return given.Length == length ? given : throw new RankLostException(rank, $"rank {rank} gave {given.Length} numbers on shared blocks, not {length}");
    }

    static void Raise(Span<float> greatest, ReadOnlySpan<float> magnitudes)
    {
        for (var i = 0; i < magnitudes.Length; i++) greatest[i] = MathF.Max(greatest[i], magnitudes[i]);
    }

    /// <summary>NaN if there is one.</summary>
    static float Greatest(ReadOnlySpan<float> x)
    {
        var greatest = 0f;
        foreach (var value in x) greatest = MathF.Max(greatest, MathF.Abs(value));
        return greatest;
    }
}
