using System.Diagnostics;
using System.Net;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>
/// Carries packets between devices by their IPv4 addresses, on a thread of its own, delayed, lost and doubled as <see cref="LinkFaults"/> says.
/// What is for nobody is dropped.
/// </summary>
sealed class TunSwitch : IDisposable
{
    /// <summary>Of a packet at most; large ones cost a user's process less to carry.</summary>
    public const int PacketBytes = 9000;

    /// <summary>Packets of one device before others have their turn.</summary>
    const int Turn = 64;

    const int Niceness = -20;

    /// <summary>After which the thread looks whether it is to end.</summary>
    static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(50);

    readonly LinkFaults _faults;
    readonly (TunDevice Device, uint Address, DelayedPackets Arriving)[] _ports;
    readonly PollEntry[] _entries;
    readonly byte[] _packet = new byte[PacketBytes];
    readonly Task _running;
    volatile bool _ending;

    /// <param name="ports">Devices, each with its machine's address; they stay the caller's.</param>
    public TunSwitch(IEnumerable<(TunDevice Device, IPAddress Address)> ports, LinkFaults faults)
    {
        _faults = faults;
        _ports = [.. ports.Select(port => (port.Device, PacketHeader.NumberOf(port.Address), new DelayedPackets()))];
        _entries = [.. _ports.Select(port => port.Device.Poll)];
        _running = Task.Factory.StartNew(Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Throws what went wrong meanwhile.</summary>
    public void Dispose()
    {
        _ending = true;
        _running.GetAwaiter().GetResult();
    }

    void Run()
    {
        // A link is not slower for what else the machine does: this thread, which ends with the switch, comes before all others where it may.
        _ = LinuxCalls.SetPriority(0, 0, Niceness);
        while (!_ending)
        {
            var now = Stopwatch.GetTimestamp();
            foreach (var (device, _, arriving) in _ports) arriving.DeliverTo(device, now);
            WaitUntil(_ports.Min(port => port.Arriving.NextDue));
            foreach (var (device, _, _) in _ports) TakeFrom(device);
        }
    }

    /// <summary>Or until there are packets to take.</summary>
    void WaitUntil(long? due)
    {
        var wait = due is { } at ? TimeSpan.FromSeconds((double)(at - Stopwatch.GetTimestamp()) / Stopwatch.Frequency) : LongestWait;
        if (wait <= TimeSpan.Zero) return;
        // Being interrupted is as good as having waited.
        _ = LinuxCalls.Poll(_entries, (nuint)_entries.Length, TimeSpec.Of(wait < LongestWait ? wait : LongestWait), 0);
    }

    void TakeFrom(TunDevice device)
    {
        for (var i = 0; i < Turn && device.Read(_packet) is > 0 and var length; i++)
        {
            var packet = _packet.AsSpan(0, length);
            if (PacketHeader.Of(packet) is not { } header) continue;
            for (var copies = _faults.CopiesOf(header, length); copies > 0; copies--)
                foreach (var port in _ports)
                    if (port.Address == header.Destination) port.Arriving.Add(packet, _faults.Shape, Stopwatch.GetTimestamp());
        }
    }
}
