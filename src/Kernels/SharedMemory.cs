using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace LlamaCluster.Kernels;

/// <summary>
/// Memory that two processes of one host have in common (Linux on x64 and arm64): a file in /dev/shm that only this user may open. One process creates it
/// under a random name, the other opens it and takes the name away; nobody else can open it then, and nothing is left of it when both have ended.
/// Where the first is killed before the second has come, the name stays. As long as it lives it keeps a lock on the file (flock, which .NET takes for whoever
/// opens one, and which ends with the process), so the next worker can tell: <see cref="RemoveLeftovers"/>.
/// <para>
/// The other process may write anything there at any time, so whatever is read from it is to be checked, and copied before it is checked. A thread
/// that uses the memory does so between <see cref="TryEnter"/> and <see cref="Leave"/>: it is not unmapped meanwhile.
/// </para>
/// </summary>
public sealed unsafe partial class SharedMemory : IDisposable
{
    const string Folder = "/dev/shm";
    const string Prefix = "llamacluster-";
    const int NameBytes = 16;

    /// <summary>A file is empty for a moment between its creation and its lock.</summary>
    static readonly TimeSpan LongestCreation = TimeSpan.FromMinutes(1);

    readonly string _path;
    readonly MemoryMappedFile _file;
    readonly MemoryMappedViewAccessor _view;
    readonly byte* _start;

    SharedMemory(string path, FileStream opened, int bytes)
    {
        (_path, Bytes) = (path, bytes);
        _file = MemoryMappedFile.CreateFromFile(opened, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, bytes);
        _start = (byte*)_view.SafeMemoryMappedViewHandle.DangerousGetHandle();
    }

    /// <summary>Whether this system has what it takes.</summary>
    public static bool IsSupported { get; } = OperatingSystem.IsLinux() && Futex.IsSupported && Directory.Exists(Folder);

    public int Bytes { get; }

    /// <summary>What another process of this host opens it by.</summary>
    public string Name => Path.GetFileName(_path);

    /// <summary>Zeroed memory. All of it is reserved, so that a full file system is an error here and not a crash later.</summary>
    /// <exception cref="IOException">There is no room for it.</exception>
    /// <exception cref="UnauthorizedAccessException">This process may not create files in /dev/shm.</exception>
    public static SharedMemory Create(int bytes)
    {
        var path = Path.Combine(Folder, Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(NameBytes)));
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite,
            PreallocationSize = bytes,
            BufferSize = 0,
        };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        var file = new FileStream(path, options);
        try
        {
            file.SetLength(bytes);
            return new SharedMemory(path, file, bytes);
        }
        catch
        {
            file.Dispose();
            File.Delete(path);
            throw;
        }
    }

    /// <summary>
    /// Removes files of this user that no living process has open, also of processes in other containers that see the same /dev/shm. What it may not open or
    /// remove is somebody else's, and stays.
    /// </summary>
    /// <returns>How many there were.</returns>
    public static int RemoveLeftovers() =>
        IsSupported ? Directory.GetFiles(Folder, Prefix + "*").Count(path => IsName(Path.GetFileName(path)) && TryRemove(path)) : 0;

    static bool TryRemove(string path)
    {
        try
        {
            if (new FileInfo(path) is not { Exists: true, LinkTarget: null } found) return false;
            using var alone = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
            if (alone.Length == 0 && DateTime.UtcNow - found.LastWriteTimeUtc < LongestCreation) return false;
            File.Delete(path);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;   // a living process has it, or another user
        }
    }

    /// <summary>Maps what another process has created.</summary>
    /// <param name="name">As that process said it.</param>
    /// <exception cref="IOException">It is not there: the other process is on another host, or sees another /dev/shm. Or it has another size.</exception>
    /// <exception cref="UnauthorizedAccessException">It belongs to another user.</exception>
    public static SharedMemory Open(string name, int bytes)
    {
        if (!IsName(name)) throw new IOException("that is no name of shared memory");
        var path = Path.Combine(Folder, name);
        if (!File.Exists(path)) throw new IOException("it is not to be found on this host");
        var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        try
        {
            return file.Length == bytes ? new SharedMemory(path, file, bytes) : throw new IOException($"it has {file.Length} bytes, not {bytes}");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Takes the name away. Whoever has the memory mapped keeps it.</summary>
    public void Unlink() => File.Delete(_path);

    /// <summary>Keeps the memory mapped until <see cref="Leave"/>. False: it was given back.</summary>
    public bool TryEnter()
    {
        try
        {
            var entered = false;
            _view.SafeMemoryMappedViewHandle.DangerousAddRef(ref entered);
            return entered;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    public void Leave() => _view.SafeMemoryMappedViewHandle.DangerousRelease();

    public Span<byte> Span(int offset, int count)
    {
        if ((uint)offset > (uint)Bytes || (uint)count > (uint)(Bytes - offset)) ThrowOutside(offset, count);
        return new Span<byte>(_start + offset, count);
    }

    /// <summary>A number that both processes read and write, for <see cref="Volatile"/> and <see cref="Interlocked"/>.</summary>
    /// <param name="offset">A multiple of its size.</param>
    public ref T Number<T>(int offset) where T : unmanaged
    {
        if ((uint)offset > (uint)(Bytes - sizeof(T)) || offset % sizeof(T) != 0) ThrowOutside(offset, sizeof(T));
        return ref *(T*)(_start + offset);
    }

    /// <summary>Sleeps while the i32 at an offset has a value, until it is woken or the time is over. It may also wake for no reason.</summary>
    public void Sleep(int offset, int value, TimeSpan time)
    {
        fixed (int* number = &Number<int>(offset)) Futex.Wait(number, value, time);
    }

    /// <summary>Wakes the thread that sleeps at an offset, in whichever process it is.</summary>
    public void Wake(int offset)
    {
        fixed (int* number = &Number<int>(offset)) Futex.Wake(number);
    }

    /// <summary>Unmaps the memory as soon as no thread uses it.</summary>
    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    static bool IsName(string name) => name.Length == Prefix.Length + 2 * NameBytes && name.StartsWith(Prefix, StringComparison.Ordinal)
        && name.AsSpan(Prefix.Length).ContainsAnyExcept("0123456789abcdef") is false;

    static void ThrowOutside(int offset, int count) =>
        throw new ArgumentOutOfRangeException(nameof(offset), $"{count} bytes at {offset} are not in the shared memory, or not aligned");
}

/// <summary>futex(2) without the flag that would keep it within one process.</summary>
static unsafe partial class Futex
{
    const int WaitOperation = 0;
    const int WakeOperation = 1;

    static readonly nint Number = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 202,
        Architecture.Arm64 => 98,
        _ => -1,
    };

    public static bool IsSupported => OperatingSystem.IsLinux() && Number > 0;

    public static void Wait(int* address, int value, TimeSpan time)
    {
        var (seconds, rest) = Math.DivRem(time.Ticks, TimeSpan.TicksPerSecond);
        var left = new TimeSpec { Seconds = seconds, Nanoseconds = rest * TimeSpan.NanosecondsPerTick };
        _ = SystemCall(Number, address, WaitOperation, value, &left, null, 0);
    }

    public static void Wake(int* address) => _ = SystemCall(Number, address, WakeOperation, 1, null, null, 0);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint SystemCall(nint number, int* address, int operation, nint value, TimeSpec* time, int* other, nint last);

    struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
