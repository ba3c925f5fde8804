using System.Buffers.Binary;
using System.Net;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>Where an IPv4 packet comes from and goes to.</summary>
/// <param name="SourcePort">Of TCP; 0: it is no TCP.</param>
/// <param name="DestinationPort">As above.</param>
readonly record struct PacketHeader(uint Source, uint Destination, ushort SourcePort, ushort DestinationPort)
{
    const int Version4 = 4;
    const int LeastBytes = 20;
    const int ProtocolOffset = 9;
    const int SourceOffset = 12;
    const int DestinationOffset = 16;
    const byte Tcp = 6;

    /// <summary>Null: it is no packet of IPv4.</summary>
    public static PacketHeader? Of(ReadOnlySpan<byte> packet)
    {
        if (packet.Length < LeastBytes || packet[0] >> 4 != Version4) return null;
        var ports = 4 * (packet[0] & 0xF);
        var isTcp = packet[ProtocolOffset] == Tcp && packet.Length >= ports + 4;
        return new PacketHeader(
            BinaryPrimitives.ReadUInt32BigEndian(packet[SourceOffset..]), BinaryPrimitives.ReadUInt32BigEndian(packet[DestinationOffset..]),
            isTcp ? BinaryPrimitives.ReadUInt16BigEndian(packet[ports..]) : (ushort)0,
            isTcp ? BinaryPrimitives.ReadUInt16BigEndian(packet[(ports + 2)..]) : (ushort)0);
    }

    public static uint NumberOf(IPAddress address) => BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());
}
