using System.Buffers.Binary;
using System.Numerics;

namespace LlamaCluster.Cluster.Checksums;

/// <summary>CRC-32C (Castagnoli; RFC 3720, appendix B.4), with the processor's instruction where it has one.</summary>
public static class Crc32C
{
    /// <summary>Of nothing; what <see cref="Append"/> starts from.</summary>
    public const uint Empty = 0;

    public static uint Compute(ReadOnlySpan<byte> data) => Append(Empty, data);

    /// <summary>The checksum of the bytes that gave <paramref name="crc"/> followed by <paramref name="data"/>.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> data)
    {
        crc = ~crc;
        for (; data.Length >= sizeof(ulong); data = data[sizeof(ulong)..])
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(data));
        foreach (var octet in data)
            crc = BitOperations.Crc32C(crc, octet);
        return ~crc;
    }
}
