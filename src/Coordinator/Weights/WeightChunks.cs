using System.IO.Hashing;
using Google.Protobuf;
using LlamaCluster.Cluster;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>The bytes of a part of a tensor, of any size, in messages.</summary>
static class WeightChunks
{
    /// <summary>Row after row. A chunk's data is valid until the next one is asked for.</summary>
    public static IEnumerable<WeightChunk> Of(IModelWeights files, TensorPart part)
    {
        var rowsAtOnce = Math.Min(part.RowCount, Math.Max(1, MessageBudgets.FramePayload / part.RowBytes));
        var buffer = new byte[checked((int)(rowsAtOnce * part.RowBytes))];
        for (var row = 0L; row < part.RowCount; row += rowsAtOnce)
        {
            var piece = part.Piece(row, Math.Min(rowsAtOnce, part.RowCount - row));
            var read = buffer.AsMemory(0, (int)piece.Bytes);
            files.ReadPart(piece, read.Span);
            for (var offset = 0; offset < read.Length; offset += MessageBudgets.FramePayload)   // more than once only for a very long row
            {
                var data = read[offset..Math.Min(read.Length, offset + MessageBudgets.FramePayload)];
                yield return new WeightChunk
                {
                    Offset = (ulong)(row * part.RowBytes + offset),
                    Data = UnsafeByteOperations.UnsafeWrap(data),
                    Crc32C = Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, data.Span),
                    LastOfTensor = row + rowsAtOnce >= part.RowCount && offset + data.Length == read.Length,
                };
            }
        }
    }
}
