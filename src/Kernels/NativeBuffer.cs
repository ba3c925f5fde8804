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
