using System.Diagnostics;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>
/// Packets on their way to one machine: one after the other through a link of so many bits per second, and then the delay. A full link
/// drops what comes, as a switch does. Not safe for concurrent use.
/// </summary>
sealed class DelayedPackets
{
    /// <summary>Several times what a connection at full speed has under way.</summary>
    const int Most = 1024;

    readonly Queue<(long Due, byte[] Buffer, int Length)> _packets = new(Most);
    readonly Stack<byte[]> _free = [];
    long _linkIsFree, _lastDue;

    /// <summary>When the next packet arrives, in ticks of <see cref="Stopwatch"/>; null: none is under way.</summary>
    public long? NextDue => _packets.TryPeek(out var next) ? next.Due : null;

    /// <param name="shape">Of the link, now.</param>
    public void Add(ReadOnlySpan<byte> packet, LinkShape shape, long now)
    {
        if (_packets.Count == Most) return;
        _linkIsFree = Math.Max(_linkIsFree, now) + Ticks(8 * packet.Length / shape.BitsPerSecond);
        var buffer = _free.TryPop(out var used) ? used : new byte[TunSwitch.PacketBytes];
        packet.CopyTo(buffer);
        _lastDue = Math.Max(_lastDue, _linkIsFree + Ticks(shape.OneWay.TotalSeconds));   // nobody overtakes
        _packets.Enqueue((_lastDue, buffer, packet.Length));
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
