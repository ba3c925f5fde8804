using System.Diagnostics;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>
/// Packets on their way to one machine: one after the other through a link of so many bits per second, and then the delay. A full link
/// drops what comes, as a switch does. Not safe for concurrent use.
/// </summary>
sealed class DelayedPackets(LinkShape shape)
{
    /// <summary>Several times what a connection at full speed has under way.</summary>
    const int Most = 1024;

    readonly Queue<(long Due, byte[] Buffer, int Length)> _packets = new(Most);
    readonly Stack<byte[]> _free = [];
    readonly long _delay = Ticks(shape.OneWay.TotalSeconds);
    long _linkIsFree;

    /// <summary>When the next packet arrives, in ticks of <see cref="Stopwatch"/>; null: none is under way.</summary>
    public long? NextDue => _packets.TryPeek(out var next) ? next.Due : null;

    public void Add(ReadOnlySpan<byte> packet, long now)
    {
        if (_packets.Count == Most) return;
        _linkIsFree = Math.Max(_linkIsFree, now) + Ticks(8 * packet.Length / shape.BitsPerSecond);
        var buffer = _free.TryPop(out var used) ? used : new byte[TunSwitch.PacketBytes];
        packet.CopyTo(buffer);
        _packets.Enqueue((_linkIsFree + _delay, buffer, packet.Length));
    }

    /// <summary>Hands over what has arrived by now.</summary>
    public void DeliverTo(TunDevice device, long now)
    {
        while (NextDue <= now)
        {
            var (_, buffer, length) = _packets.Dequeue();
            device.Write(buffer.AsSpan(0, length));
            _free.Push(buffer);
        }
    }

    static long Ticks(double seconds) => (long)(seconds * Stopwatch.Frequency);
}
