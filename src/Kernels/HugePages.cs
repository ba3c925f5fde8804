using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels;

/// <summary>
/// Large buffers on 2 MiB pages (Linux, where it is "madvise" or "always" in /sys/kernel/mm/transparent_hugepage/enabled): walking through weights
/// then misses the address caches 512 times less often. They come straight from the system: memory that the C library's heap gives a second time has
/// to be zeroed, and stays with the heap when a model is unloaded.
/// </summary>
static unsafe partial class HugePages
{
    public const nuint PageBytes = 2 << 20;

    const int AdviseHugePage = 14;
    const int ReadAndWrite = 3;
    const int PrivateAndAnonymous = 0x22;

    /// <summary>There is at least one page's worth of memory to ask for.</summary>
    public static bool AreFor(nuint bytes) => OperatingSystem.IsLinux() && bytes >= PageBytes;

    /// <summary>
    /// Zeroed memory that starts at a multiple of <see cref="PageBytes"/>. Huge pages are advice, for as many as are whole: a system that gives others loses
    /// speed, no more.
    /// </summary>
    /// <exception cref="OverflowException">No address space has so many bytes.</exception>
    /// <exception cref="OutOfMemoryException">The system has no such amount of memory.</exception>
    public static void* Map(nuint bytes)
    {
        var size = WholePages(bytes);
        var mapped = (byte*)MMap(null, checked(size + PageBytes), ReadAndWrite, PrivateAndAnonymous, file: -1, offset: 0);
        if ((nint)mapped == -1) throw new OutOfMemoryException($"the system has no {bytes} bytes of memory");
        var memory = (byte*)WholePages((nuint)mapped);
        var before = (nuint)(memory - mapped);
        if (before > 0) _ = MUnmap(mapped, before);
        _ = MUnmap(memory + size, PageBytes - before);
        _ = MAdvise(memory, bytes & ~(PageBytes - 1), AdviseHugePage);
        return memory;
    }

    /// <summary>Gives back what <see cref="Map"/> gave.</summary>
    public static void Unmap(void* memory, nuint bytes) => _ = MUnmap(memory, WholePages(bytes));

    static nuint WholePages(nuint bytes) => checked(bytes + PageBytes - 1) & ~(PageBytes - 1);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* MMap(void* address, nuint bytes, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int MUnmap(void* memory, nuint bytes);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int MAdvise(void* memory, nuint bytes, int advice);
}
