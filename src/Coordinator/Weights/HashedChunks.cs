using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>A part of the model as messages, the last of which says what the part hashes to.</summary>
static class HashedChunks
{
    /// <summary>As <see cref="WeightChunks.Of"/>.</summary>
    /// <param name="hash">The part's hash. Null: not known, and made of what is read.</param>
    public static IEnumerable<WeightChunk> Of(IModelWeights files, TensorPart part, string? hash)
    {
        using var hasher = hash is null ? new PartHasher(part) : null;
        foreach (var chunk in WeightChunks.Of(part.RowCount, part.RowBytes, Read))
        {
            hasher?.Append(chunk.Data.Span);
            if (chunk.LastOfTensor) chunk.PartHash = hash ?? hasher!.Finish();
            yield return chunk;
        }

        void Read(long row, Memory<byte> rows) => files.ReadPart(part.Piece(row, rows.Length / part.RowBytes), rows.Span);
    }
}
