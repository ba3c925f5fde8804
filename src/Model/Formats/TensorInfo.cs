using LlamaCluster.Kernels;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats;

/// <summary>
/// What is known of a stored tensor before its data is read. Names are GGUF's, also for Hugging Face folders:
/// <c>token_embd.weight</c>, <c>blk.N.attn_norm|attn_q|attn_k|attn_v|attn_output|ffn_norm|ffn_gate|ffn_up|ffn_down.weight</c>,
/// <c>output_norm.weight</c>, <c>output.weight</c> (absent if tied), <c>rope_freqs.weight</c>.
/// </summary>
/// <param name="Rows">Output dimension of a matrix; 1 for a vector.</param>
/// <param name="Columns">Input dimension, contiguous in storage; a vector's length.</param>
public sealed record TensorInfo(string Name, TensorType Type, long Rows, long Columns)
{
    /// <summary>Consecutive columns of a row that are stored together.</summary>
    public int ColumnBlock => Type.BlockSize();

    public long RowBytes => Type.RowBytes(Columns);

    public long Bytes => checked(Rows * RowBytes);

    /// <summary>Throws unless <paramref name="bytes"/> are whole rows of this tensor from <paramref name="firstRow"/> on.</summary>
    /// <exception cref="ArgumentException">A mistake of the caller.</exception>
    public void CheckRows(long firstRow, int bytes)
    {
        var (rows, rest) = Math.DivRem(bytes, RowBytes);
        if (rest != 0) throw new ArgumentException($"{bytes} bytes are not whole rows of {RowBytes} of {Name}", nameof(bytes));
        if (firstRow < 0 || firstRow > Rows - rows)
            throw new ArgumentOutOfRangeException(nameof(firstRow), firstRow, $"{Name} has {Rows} rows; {rows} were asked for");
    }
}
