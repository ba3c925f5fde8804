using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels;

/// <summary>Which processors this process may use, and holding a thread on one of them (Linux; elsewhere threads stay free).</summary>
static unsafe partial class Processors
{
    /// <summary>1024 processors, the kernel's own cpu_set_t.</summary>
    const int MaskBytes = 128;

    /// <summary>The numbers of the processors that the calling thread may run on; empty where that cannot be known.</summary>
    public static int[] Allowed()
    {
        var mask = stackalloc byte[MaskBytes];
        if (!OperatingSystem.IsLinux() || GetAffinity(0, MaskBytes, mask) != 0) return [];
        var found = new List<int>();
        for (var i = 0; i < MaskBytes * 8; i++)
            if ((mask[i / 8] >> (i % 8) & 1) != 0) found.Add(i);
        return [.. found];
    }

    /// <summary>Holds the calling thread on one processor; false if the system refuses, and the thread stays free.</summary>
    public static bool TryPin(int processor)
    {
        if (!OperatingSystem.IsLinux() || (uint)processor >= MaskBytes * 8) return false;
        var mask = stackalloc byte[MaskBytes];
        new Span<byte>(mask, MaskBytes).Clear();
        mask[processor / 8] = (byte)(1 << (processor % 8));
        return SetAffinity(0, MaskBytes, mask) == 0;
    }

    [LibraryImport("libc", EntryPoint = "sched_getaffinity")]
    private static partial int GetAffinity(int thread, nint bytes, byte* mask);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nint bytes, byte* mask);
}
