using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels;

/// <summary>
/// Memory outside the garbage collector's heap for weights, KV and activations: zeroed, aligned to 64 bytes (one cache line, one
/// AVX-512 register), any 64-bit length. Freed by <see cref="Dispose"/>, or by the finalizer of a buffer that was forgotten.
/// </summary>
public sealed unsafe class NativeBuffer<T> : IDisposable where T : unmanaged
{
    const nuint Alignment = 64;

    readonly bool _isMapped;
    void* _allocation;
    T* _pointer;

    /// <param name="length">Elements of <typeparamref name="T"/>, 0 or more.</param>
    /// <exception cref="OverflowException">The length in bytes does not fit in 64 bits.</exception>
    /// <exception cref="OutOfMemoryException">The system has no such amount of memory.</exception>
    public NativeBuffer(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Length = length;
        var bytes = checked((nuint)length * (nuint)sizeof(T));
        _isMapped = HugePages.AreFor(bytes);
        _allocation = _isMapped ? HugePages.Map(bytes) : NativeMemory.AllocZeroed(checked(bytes + Alignment));
        _pointer = (T*)(((nuint)_allocation + Alignment - 1) & ~(Alignment - 1));
    }

    ~NativeBuffer() => Free();

    /// <summary>Elements.</summary>
    public long Length { get; }

    public long Bytes => Length * sizeof(T);

    /// <summary>The first element. Whoever computes with it keeps the buffer alive meanwhile.</summary>
    /// <exception cref="ObjectDisposedException">The memory has been freed.</exception>
    internal T* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_pointer is null, this);
            return _pointer;
        }
    }

    /// <summary>Elements <paramref name="offset"/> .. <paramref name="offset"/> + <paramref name="count"/>. The buffer must outlive the span.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the buffer.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<T> Span(long offset, int count)
    {
        if ((ulong)offset > (ulong)Length || (uint)count > (ulong)(Length - offset)) ThrowOutside(offset, count);
        return new Span<T>(Pointer + offset, count);
    }

    /// <summary>
    /// Lets the system have the memory of elements that nobody needs any more, as far as it is whole pages; nothing where the system takes none before all is
    /// freed. They are zero, or as they were.
    /// </summary>
    internal void GiveBack(long offset, long count)
    {
        if (!_isMapped) return;
        var (first, end) = ((nuint)(Pointer + offset), (nuint)(Pointer + offset + count));
        HugePages.GiveBack(first, end);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    void Free()
    {
        if (_allocation is null) return;
        if (_isMapped) HugePages.Unmap(_allocation, (nuint)Bytes);
        else NativeMemory.Free(_allocation);
        _allocation = null;
        _pointer = null;
    }

    void ThrowOutside(long offset, int count) =>
        throw new ArgumentOutOfRangeException(nameof(offset), $"elements {offset}..+{count} are outside a buffer of {Length}");
}

/// <summary>
/// Large buffers on 2 MiB pages (Linux, where it is "madvise" or "always" in /sys/kernel/mm/transparent_hugepage/enabled): walking through weights
/// then misses the address caches 512 times less often. They come straight from the system: memory that the C library's heap gives a second time has
/// to be zeroed, and stays with the heap when a model is unloaded.
/// </summary>
static unsafe class HugePages
{
    public const nuint PageBytes = 2 << 20;

    const int AdviseNotNeeded = 4;
    const int AdviseHugePage = 14;

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
        var mapped = LinuxMemory.Map(checked(size + PageBytes));
        if (mapped is null) throw new OutOfMemoryException($"the system has no {bytes} bytes of memory");
        var memory = (byte*)WholePages((nuint)mapped);
        var before = (nuint)(memory - mapped);
        if (before > 0) _ = LinuxMemory.Unmap(mapped, before);
        _ = LinuxMemory.Unmap(memory + size, PageBytes - before);
        _ = LinuxMemory.Advise(memory, bytes & ~(PageBytes - 1), AdviseHugePage);
        return memory;
    }

    /// <summary>Gives back what <see cref="Map"/> gave.</summary>
    public static void Unmap(void* memory, nuint bytes) => _ = LinuxMemory.Unmap(memory, WholePages(bytes));

    /// <summary>
    /// Gives back those pages of what <see cref="Map"/> gave that lie between two addresses. They are zeros if they are used again. Of a huge page that lies
    /// there in part the process has that part no more, but Linux uses it only when it is short of memory, or the rest is given back too.
    /// </summary>
    public static void GiveBack(nuint first, nuint end)
    {
        var pageBytes = (nuint)Environment.SystemPageSize;
        (first, end) = ((first + pageBytes - 1) / pageBytes * pageBytes, end / pageBytes * pageBytes);
        if (first < end) _ = LinuxMemory.Advise((void*)first, end - first, AdviseNotNeeded);
    }

    static nuint WholePages(nuint bytes) => checked(bytes + PageBytes - 1) & ~(PageBytes - 1);
}
