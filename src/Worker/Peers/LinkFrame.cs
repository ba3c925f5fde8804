using System.Buffers.Binary;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// The fixed header before each payload on a direct connection, little-endian: u32 payload bytes, u16 mark, u16 content, u64 view,
/// u64 step, u32 exchange, u32 chunk.
/// </summary>
static class LinkFrame
{
    public const int HeaderBytes = 32;

    /// <summary>Shows a reader that it is at a header, and has not lost its place.</summary>
    const ushort Mark = 0x4C4C;

    public static void Write(Span<byte> bytes, in LinkHeader header, int payload)
    {
        BinaryPrimitives.WriteInt32LittleEndian(bytes, payload);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[4..], Mark);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[6..], (ushort)header.Content);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], header.ViewVersion);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[16..], header.StepId);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[24..], header.Exchange);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[28..], header.Chunk);
    }

    /// <returns>Null, or what is wrong with it, in a few words.</returns>
    public static string? Read(ReadOnlySpan<byte> bytes, out LinkHeader header, out int payload)
    {
        payload = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        header = new LinkHeader(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]),
            (RankFrame.Types.Content)BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[28..]));
        if (BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]) != Mark) return "it sent what is no message";
        return payload is >= 0 and <= IPeerLink.MaxPayload ? null : $"it sent a message of {(uint)payload} bytes, more than {IPeerLink.MaxPayload}";
    }
}
