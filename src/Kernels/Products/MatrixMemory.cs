using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// Memory of many matrices that are read one after the other. They stand in it in the order in which they are made: what is fetched ahead at the end of one
/// is the beginning of the next, and all are on huge pages, while one by itself has none for its last part, or at all if it is small. Each matrix is freed
/// by itself (Linux; elsewhere each has memory of its own), and the last one frees what is left. Matrices are made by one thread and freed by any.
/// </summary>
public sealed class MatrixMemory : IDisposable
{
    const int LineBytes = 64;

    readonly NativeBuffer<byte>? _buffer;
    long _taken;
    int _holders = 1;   // the maker is one

    /// <param name="bytes">What all matrices take (<see cref="BytesOf"/>). What is not taken in the end costs nothing but addresses.</param>
    /// <exception cref="OutOfMemoryException">The system has no such amount of memory.</exception>
    public MatrixMemory(long bytes) => _buffer = OperatingSystem.IsLinux() ? new NativeBuffer<byte>(bytes) : null;

    /// <summary>What a matrix takes, with what is left free behind it up to the next cache line.</summary>
    /// <inheritdoc cref="PackedMatrix.BytesOf"/>
    public static long BytesOf(TensorType type, long rows, int columns) => WholeLines(PackedMatrix.BytesOf(type, rows, columns));

    /// <summary>The next matrix.</summary>
    /// <exception cref="InvalidOperationException">There is no room for it.</exception>
    /// <inheritdoc cref="PackedMatrix(TensorType, int, int)"/>
    public PackedMatrix Add(TensorType type, int rows, int columns) => new(type, rows, columns, _buffer is null ? null : this);

    /// <summary>Says that no more matrices are made. Those that were stay.</summary>
    public void Dispose() => Leave();

    internal (NativeBuffer<byte> Memory, long First) Take(long bytes)
    {
        var first = _taken;
        if (bytes > _buffer!.Length - first)
            throw new InvalidOperationException($"{bytes} bytes of a matrix do not fit behind {first} of {_buffer.Length}");
        _taken = first + WholeLines(bytes);
        Interlocked.Increment(ref _holders);
        return (_buffer, first);
    }

    internal void Free(long first, long bytes)
    {
        _buffer!.GiveBack(first, bytes);
        Leave();
    }

    static long WholeLines(long bytes) => checked(bytes + LineBytes - 1) / LineBytes * LineBytes;

    void Leave()
    {
        if (Interlocked.Decrement(ref _holders) == 0) _buffer?.Dispose();
    }
}
