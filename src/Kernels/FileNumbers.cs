using System.Runtime.InteropServices;
using System.Text;

namespace LlamaCluster.Kernels;

/// <summary>What the system knows of a file beside its size and times.</summary>
public static unsafe partial class FileNumbers
{
    const int CurrentFolder = -100;
    const uint InodeMask = 0x100;
    const int ResultBytes = 256;
    const int InodeOffset = 32;

    /// <summary>
    /// The number of the file within its file system: another one where a file was put in the place of one that had the same name. 0: the system does
    /// not say.
    /// </summary>
    public static ulong Inode(string path)
    {
        if (!OperatingSystem.IsLinux()) return 0;
        var name = Encoding.UTF8.GetBytes(path + '\0');
        var result = stackalloc byte[ResultBytes];
        try
        {
            fixed (byte* start = name)
                return Statx(CurrentFolder, start, 0, InodeMask, result) == 0 ? *(ulong*)(result + InodeOffset) : 0;
        }
        catch (EntryPointNotFoundException)
        {
            return 0;   // a C library older than this call
        }
    }

    [LibraryImport("libc", EntryPoint = "statx")]
    private static partial int Statx(int folder, byte* path, int flags, uint mask, byte* result);
}
