using System.IO.Hashing;
using Google.Protobuf;
using LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Mapping;

/// <summary>Reads some rows of a part of a tensor.</summary>
/// <param name="firstRow">Counted from the part's first.</param>
/// <param name="destination">Whole rows.</param>
public delegate void RowReader(long firstRow, Memory<byte> destination);

/// <summary>
/// Cuts a part of a tensor into messages. A tensor can have gigabytes, a message has at most <see cref="MessageBudgets.FramePayload"/> bytes of it.
/// </summary>
public static class WeightChunks
{
    /// <summary>
    /// Goes through the part row by row. A chunk's data is valid only until the next chunk is taken, because all chunks share one buffer. Which part it is, and
    /// what all of it hashes to, is left to the caller.
    /// </summary>
    /// <param name="rowBytes">Bytes of a row of the part.</param>
    public static IEnumerable<WeightChunk> Of(long rowCount, long rowBytes, RowReader read)
    {
        var rowsAtOnce = Math.Min(rowCount, Math.Max(1, MessageBudgets.FramePayload / rowBytes));
        var buffer = new byte[checked((int)(rowsAtOnce * rowBytes))];
        for (var row = 0L; row < rowCount; row += rowsAtOnce)
        {
            var rows = buffer.AsMemory(0, (int)(Math.Min(rowsAtOnce, rowCount - row) * rowBytes));
            read(row, rows);
            for (var offset = 0; offset < rows.Length; offset += MessageBudgets.FramePayload)   // more than one pass only if a single row exceeds a message
            {
                var data = rows[offset..Math.Min(rows.Length, offset + MessageBudgets.FramePayload)];
                yield return new WeightChunk
                {
                    Offset = (ulong)(row * rowBytes + offset),
                    Data = UnsafeByteOperations.UnsafeWrap(data),
                    Crc32C = Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, data.Span),
                    LastOfTensor = row + rowsAtOnce >= rowCount && offset + data.Length == rows.Length,
                };
            }
        }
    }
}
