using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>
/// A network device whose cable ends in this process: what the kernel sends out on it is read here, packet by packet, and what is written
/// here has arrived on it. It may be moved to another namespace, and is gone with its handle.
/// </summary>
sealed class TunDevice : IDisposable
{
    const string Driver = "/dev/net/tun";

    /// <summary>TUNSETIFF.</summary>
    const nuint SetInterface = 0x400454CA;

    /// <summary>IFF_TUN, packets of IP, and IFF_NO_PI, nothing before them.</summary>
    const short PlainPackets = 0x0001 | 0x1000;

    /// <summary>struct ifreq: 16 bytes of name, then flags.</summary>
    const int RequestBytes = 40;

    const int NameBytes = 16;

    readonly SafeFileHandle _file;

    /// <exception cref="IOException">The system has no such devices, or this process may not make any.</exception>
    public TunDevice(string name)
    {
        Name = name;
        _file = new SafeFileHandle(LinuxCalls.Open(Driver, LinuxCalls.ReadWriteNonBlockingCloseOnExec), ownsHandle: true);
        if (_file.IsInvalid) throw Failed("opening it");
        Span<byte> request = stackalloc byte[RequestBytes];
        Encoding.ASCII.GetBytes(name, request[..(NameBytes - 1)]);
        MemoryMarshal.Write(request[NameBytes..], PlainPackets);
        if (LinuxCalls.Control(_file, SetInterface, request) < 0) throw Failed($"making the device {name}");
    }

    public string Name { get; }

    public PollEntry Poll => new((int)_file.DangerousGetHandle(), LinuxCalls.Readable, 0);

    /// <returns>Bytes of the next packet; 0 if there is none yet.</returns>
    public int Read(Span<byte> packet)
    {
        var count = LinuxCalls.Read(_file, packet, packet.Length);
        if (count >= 0) return (int)count;
        return Marshal.GetLastPInvokeError() is LinuxCalls.WouldBlock or LinuxCalls.Interrupted ? 0 : throw Failed("reading a packet");
    }

    /// <summary>A packet that the device does not take is lost, as on any network: it is down, or its machine has no room.</summary>
    public void Write(ReadOnlySpan<byte> packet) => _ = LinuxCalls.Write(_file, packet, packet.Length);

    public void Dispose() => _file.Dispose();

    static IOException Failed(string what) => new($"{Driver}, {what}: {Marshal.GetLastPInvokeErrorMessage()}");
}
