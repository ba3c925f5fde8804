using System.IO.Hashing;
using Google.Protobuf;
using LlamaCluster.Cluster;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>Cuts a part of a tensor into messages. A tensor can have gigabytes, a message has at most <see cref="MessageBudgets.FramePayload"/> bytes of it.</summary>
static class WeightChunks
{
    /// <summary>
    /// Goes through the part row by row. A chunk's data is valid only until the next chunk is taken, because all chunks share one buffer. The last one
    /// says what the part hashes to.
    /// </summary>
    /// <param name="hash">The part's hash. Null: not known, and made of what is read.</param>
    public static IEnumerable<WeightChunk> Of(IModelWeights files, TensorPart part, string? hash)
    {
        using var hasher = hash is null ? new PartHasher(part) : null;
        var rowsAtOnce = Math.Min(part.RowCount, Math.Max(1, MessageBudgets.FramePayload / part.RowBytes));
        var buffer = new byte[checked((int)(rowsAtOnce * part.RowBytes))];
        for (var row = 0L; row < part.RowCount; row += rowsAtOnce)
        {
            var piece = part.Piece(row, Math.Min(rowsAtOnce, part.RowCount - row));
            var read = buffer.AsMemory(0, (int)piece.Bytes);
            files.ReadPart(piece, read.Span);
            for (var offset = 0; offset < read.Length; offset += MessageBudgets.FramePayload)   // more than one pass only if a single row exceeds a message
            {
                var data = read[offset..Math.Min(read.Length, offset + MessageBudgets.FramePayload)];
                hasher?.Append(data.Span);
                var last = row + rowsAtOnce >= part.RowCount && offset + data.Length == read.Length;
                yield return new WeightChunk
                {
                    Offset = (ulong)(row * part.RowBytes + offset),
                    Data = UnsafeByteOperations.UnsafeWrap(data),
                    Crc32C = Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, data.Span),
                    LastOfTensor = last,
                    PartHash = last ? hash ?? hasher!.Finish() : "",
                };
            }
        }
    }
}
