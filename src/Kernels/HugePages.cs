using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels;

/// <summary>
/// Large buffers on 2 MiB pages (Linux, where it is "madvise" or "always" in /sys/kernel/mm/transparent_hugepage/enabled): walking through weights
/// then misses the address caches 512 times less often.
/// </summary>
static unsafe partial class HugePages
{
    const nuint PageBytes = 2 << 20;
    const int AdviseHugePage = 14;

    /// <summary>Asks for huge pages where whole ones fit in. It is advice: a system that does not take it loses speed only.</summary>
    public static void Advise(void* memory, nuint bytes)
    {
        if (!OperatingSystem.IsLinux()) return;
        var first = ((nuint)memory + PageBytes - 1) & ~(PageBytes - 1);
        var end = ((nuint)memory + bytes) & ~(PageBytes - 1);
        if (end > first) _ = MAdvise((void*)first, end - first, AdviseHugePage);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int MAdvise(void* memory, nuint bytes, int advice);
}
