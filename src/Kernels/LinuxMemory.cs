using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels;

/// <summary>Linux's calls for pages of memory, with its numbers on x64 and arm64.</summary>
static unsafe partial class LinuxMemory
{
    public const int Read = 1;
    public const int Write = 2;
    public const int Execute = 4;

    const int PrivateAndAnonymous = 0x22;

    /// <summary>Zeroed pages that can be read and written, or null if the system has no such amount of memory.</summary>
    public static byte* Map(nuint bytes)
    {
        var mapped = (byte*)MMap(null, bytes, Read | Write, PrivateAndAnonymous, file: -1, offset: 0);
        return (nint)mapped == -1 ? null : mapped;
    }

    /// <summary>Gives pages back. Nothing comes of a failure but that they stay.</summary>
    [LibraryImport("libc", EntryPoint = "munmap")]
    public static partial int Unmap(void* memory, nuint bytes);

    /// <summary>What may be done with pages; 0 if it is so now.</summary>
    [LibraryImport("libc", EntryPoint = "mprotect")]
    public static partial int Protect(void* memory, nuint bytes, int protection);

    /// <summary>Tells how pages will be used.</summary>
    [LibraryImport("libc", EntryPoint = "madvise")]
    public static partial int Advise(void* memory, nuint bytes, int advice);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* MMap(void* address, nuint bytes, int protection, int flags, int file, nint offset);
}
