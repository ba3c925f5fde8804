using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels.Tests;

/// <summary>
/// Floats that end right before a page which may not be touched (on Unix): a kernel that reads or writes beyond the end ends the test run.
/// Before the beginning stand NaN, so that reading there shows in the result.
/// </summary>
sealed unsafe partial class GuardedFloats : IDisposable
{
    const int PageBytes = 64 * 1024; // a multiple of every usual page size

    readonly byte* _memory;
    readonly nuint _bytes;

    public GuardedFloats(ReadOnlySpan<float> values)
    {
        Length = values.Length;
        var pages = (values.Length * sizeof(float) + PageBytes - 1) / PageBytes + 1;
        _bytes = (nuint)(pages + 1) * PageBytes;
        _memory = OperatingSystem.IsWindows() ? (byte*)NativeMemory.AlignedAlloc(_bytes, PageBytes) : Map(0, _bytes, ReadWrite, PrivateAnonymous, -1, 0);
        if (_memory == (byte*)-1) throw new OutOfMemoryException("mmap");
        var usable = new Span<float>(_memory, pages * PageBytes / sizeof(float));
        usable.Fill(float.NaN);
        values.CopyTo(usable[^values.Length..]);
        Pointer = (float*)(_memory + (pages * PageBytes)) - values.Length;
        if (!OperatingSystem.IsWindows() && Protect(_memory + (pages * PageBytes), PageBytes, 0) != 0) throw new InvalidOperationException("mprotect");
    }

    public float* Pointer { get; }

    public int Length { get; }

    public Span<float> Span => new(Pointer, Length);

    public void Dispose()
    {
        if (OperatingSystem.IsWindows()) NativeMemory.AlignedFree(_memory);
        else _ = Unmap(_memory, _bytes);
    }

    const int ReadWrite = 3;

    static int PrivateAnonymous => OperatingSystem.IsMacOS() ? 0x1002 : 0x22;

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial byte* Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Protect(byte* address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(byte* address, nuint length);
}
