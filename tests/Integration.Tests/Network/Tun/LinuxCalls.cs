using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>The calls of Linux that .NET has no names for. All set errno.</summary>
static partial class LinuxCalls
{
    public const int ReadWriteNonBlockingCloseOnExec = 2 | 0x800 | 0x80000;
    public const short Readable = 1;
    public const int WouldBlock = 11;
    public const int Interrupted = 4;

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    public static partial int Open(string path, int flags);

    /// <param name="argument">Read and written by the driver, as long as the request has it.</param>
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(SafeFileHandle file, nuint request, Span<byte> argument);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(SafeFileHandle file, Span<byte> buffer, nint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, nint length);

    /// <param name="which">0: a process, or one thread of it.</param>
    /// <param name="who">0: the calling thread.</param>
    /// <param name="niceness">-20, which has the processor first, to 19.</param>
    [LibraryImport("libc", EntryPoint = "setpriority", SetLastError = true)]
    public static partial int SetPriority(int which, int who, int niceness);

    /// <param name="signals">None: null.</param>
    [LibraryImport("libc", EntryPoint = "ppoll", SetLastError = true)]
    public static partial int Poll(Span<PollEntry> entries, nuint count, in TimeSpec timeout, nint signals);
}
