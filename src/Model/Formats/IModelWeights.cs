using System.Buffers;
using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Formats;

/// <summary>
/// A model's config and tensors, wherever they are stored: a GGUF file, a Hugging Face folder, a worker's cache, random numbers.
/// Opening reads headers only; tensor data is read row by row when asked for. Safe for concurrent reads.
/// </summary>
public interface IModelWeights : IDisposable
{
    /// <summary>The name stored in the files, for people; <see cref="ModelFiles.IdOf"/> gives the API's.</summary>
    string Name { get; }

    LlamaConfig Config { get; }

    /// <summary>In stored order; names as <see cref="TensorInfo"/> says.</summary>
    IReadOnlyList<TensorInfo> Tensors { get; }

    TensorInfo? Find(string name);

    /// <summary>All layers have the same numbers, so that one copy in memory serves for all of a shard's. Only made-up models are such.</summary>
    bool LayersAreAlike => false;

    /// <summary>
    /// Copies rows <paramref name="firstRow"/>.. of a tensor, in its stored type, into <paramref name="destination"/> (whole rows).
    /// Rows of attn_q and attn_k come in GGUF's order, in which the two numbers that RoPE rotates together stand side by side,
    /// whatever order the file has.
    /// </summary>
    /// <exception cref="ModelFormatException">The data cannot be read.</exception>
    void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination);

    /// <summary>
    /// As <see cref="ReadRows"/>, of some columns only, row after row. This reads whole rows and takes the columns out of them; weights that can read less do.
    /// </summary>
    /// <exception cref="ModelFormatException">The data cannot be read.</exception>
    void ReadPart(TensorPart part, Span<byte> destination)
    {
        part.Check(destination.Length);
        if (part.HasWholeRows)
        {
            ReadRows(part.Tensor, part.FirstRow, destination);
            return;
        }
        var row = ArrayPool<byte>.Shared.Rent((int)part.Tensor.RowBytes);
        var (before, bytes) = ((int)part.BytesBefore, (int)part.RowBytes);
        for (var r = part.FirstRow; !destination.IsEmpty; r++, destination = destination[bytes..])
        {
            ReadRows(part.Tensor, r, row.AsSpan(0, (int)part.Tensor.RowBytes));
            row.AsSpan(before, bytes).CopyTo(destination);
        }
        ArrayPool<byte>.Shared.Return(row);
    }

    /// <summary>
    /// Identifies the content: lower-case hex SHA-256 over config, tensor table and a fixed sample of every tensor's bytes
    /// (all of a small tensor's). Two files with the same digest are the same model for the cluster.
    /// </summary>
    string ComputeDigest(CancellationToken cancellation = default);
}
