using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels;

/// <summary>Which processors this process may use, and holding threads on some of them (Linux; elsewhere threads stay free).</summary>
public static unsafe partial class Processors
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

    /// <summary>The numbers of all processors of this machine, whichever this process may use; empty where that cannot be known.</summary>
    public static int[] Online()
    {
        const string file = "/sys/devices/system/cpu/online";   // like 0-3,6
        if (!OperatingSystem.IsLinux() || !File.Exists(file)) return [];
        return [.. File.ReadAllText(file).Trim().Split(',', StringSplitOptions.RemoveEmptyEntries).SelectMany(range =>
        {
            var ends = range.Split('-');
            var first = int.Parse(ends[0], CultureInfo.InvariantCulture);
            return Enumerable.Range(first, int.Parse(ends[^1], CultureInfo.InvariantCulture) - first + 1);
        })];
    }

    /// <summary>
    /// Calls <paramref name="start"/> on a thread that is held on these processors. A process that it starts inherits that, with all
    /// threads that it will ever have, and its runtime sees no other processors.
    /// </summary>
    /// <returns>False if the system refuses, and the thread was free.</returns>
    public static bool RunOn(IReadOnlyList<int> processors, Action start)
    {
        var held = false;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            held = TryPin(processors);
            try
            {
                start();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        { IsBackground = true };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return held;
    }

    /// <summary>Holds the calling thread on one processor; false if the system refuses, and the thread stays free.</summary>
    internal static bool TryPin(int processor) => TryPin([processor]);

    static bool TryPin(IReadOnlyList<int> processors)
    {
        if (!OperatingSystem.IsLinux()) return false;
        var mask = stackalloc byte[MaskBytes];
        new Span<byte>(mask, MaskBytes).Clear();
        foreach (var processor in processors)
        {
            if ((uint)processor >= MaskBytes * 8) return false;
            mask[processor / 8] |= (byte)(1 << (processor % 8));
        }
        return SetAffinity(0, MaskBytes, mask) == 0;
    }

    [LibraryImport("libc", EntryPoint = "sched_getaffinity")]
    private static partial int GetAffinity(int thread, nint bytes, byte* mask);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nint bytes, byte* mask);
}
