using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Weights;

/// <summary>
/// Reads a rank's parts of tensors into packed matrices: first all are asked for, in the order of the forward pass, in which they stand in memory, then
/// <see cref="Run"/> fills them, piece by piece on all threads. What is in memory already is taken from there. A part that is whole is kept, even if a later
/// one fails.
/// </summary>
/// <param name="loaded">Gets each part once it is whole.</param>
/// <param name="hashes">Whether what is read is hashed.</param>
sealed class WeightLoader(
    IModelWeights source, ShardParts parts, LoadedParts loaded, bool hashes, IProgress<long>? bytesLoaded, CancellationToken cancellation) : IDisposable
{
    readonly MatrixMemory _memory = new(
        parts.Of(source.Tensors).Where(part => loaded.Find(part) is null)
            .Sum(part => MatrixMemory.BytesOf(part.Tensor.Type, part.RowCount, (int)part.ColumnCount)));

    readonly List<PackedMatrix> _matrices = [];
    readonly List<MatrixLoad> _loads = [];
    readonly List<Piece> _pieces = [];
    readonly Lock _progress = new();
    long _bytesLoaded;
    int _taken;
    volatile bool _stopped;

    public IReadOnlyList<PackedMatrix> Matrices => _matrices;

    public long VectorBytes { get; private set; }

    /// <summary>The rank's part of a matrix, which <see cref="Run"/> will fill.</summary>
    /// <param name="rows">Rows of the whole matrix.</param>
    /// <param name="columns">Columns of the whole matrix.</param>
    public PackedMatrix Matrix(string name, int rows, int columns) => Matrix(Find(name, rows, columns));

    /// <summary>The rank's columns of a matrix, which <see cref="Run"/> will fill.</summary>
    /// <param name="first">The rank's first column.</param>
    /// <param name="unit">A multiple of it is every rank's first column.</param>
    public ColumnSlice Columns(string name, int rows, int columns, int first, int unit)
    {
        var part = Find(name, rows, columns);
        return new ColumnSlice(Matrix(part), (int)part.FirstColumn, (int)(first - part.FirstColumn), unit % part.Tensor.Type.BlockSize() != 0);
    }

    /// <summary>A vector, read at once.</summary>
    public float[] Vector(string name, int length)
    {
        var part = Find(name, 1, length);
        VectorBytes += length * sizeof(float);
        if (loaded.Find(part) is { Vector: { } known })
        {
            Count(part.Bytes);
            return known;
        }
        var stored = new byte[part.Bytes];
        source.ReadRows(part.Tensor, 0, stored);
        var values = new float[length];
        RowDecoder.Decode(part.Tensor.Type, stored, values);
        if (values.AsSpan().ContainsAnyExceptInRange(float.MinValue, float.MaxValue)) throw Damaged(part.Tensor, "a weight is infinite or not a number");
        loaded.Add(new LoadedPart(part, null, values, hashes ? source.KnownHash(part) ?? HashOf(stored) : null));
        Count(stored.Length);
        return values;
    }

    public void Run(ComputeThreads threads)
    {
        var job = new Job { Loader = this };
        threads.Run(ref job);
    }

    /// <summary>Frees the matrices that did not become whole. Nothing is asked for any more.</summary>
    public void Dispose()
    {
        foreach (var load in _loads.Where(load => !load.IsWhole)) load.Matrix.Dispose();
        _memory.Dispose();
    }

    /// <summary>The part of a tensor that this rank needs, after a look at the tensor's shape.</summary>
    TensorPart Find(string name, long rows, long columns)
    {
        var tensor = source.Find(name) ?? throw new ModelFormatException($"{source.Name}: tensor {name} is missing");
        if (tensor.Rows != rows || tensor.Columns != columns)
            throw new ModelFormatException(
                $"{source.Name}: tensor {name} has shape [{tensor.Rows}, {tensor.Columns}]; the config asks for [{rows}, {columns}]");
        return parts.Of(tensor) ?? throw new InvalidOperationException($"{name} is not of this shard");
    }

    PackedMatrix Matrix(TensorPart part)
    {
        if (loaded.Find(part) is { Matrix: { } known })
        {
            _matrices.Add(known);
            Count(part.Bytes);
            return known;
        }
        var load = new MatrixLoad(part, _memory.Add(part.Tensor.Type, (int)part.RowCount, (int)part.ColumnCount), hashes);
        _loads.Add(load);
        _matrices.Add(load.Matrix);
        for (var index = 0; index < part.PieceCount; index++) _pieces.Add(new Piece(load, index));
        return load.Matrix;
    }

    void LoadPieces()
    {
        byte[] stored = [];
        while (!_stopped)
        {
            var taken = Interlocked.Increment(ref _taken) - 1;
            if (taken >= _pieces.Count) return;
            cancellation.ThrowIfCancellationRequested();
            var (load, index) = _pieces[taken];
            var piece = load.Part.PieceAt(index);
            var bytes = checked((int)piece.Bytes);
            if (stored.Length < bytes) stored = GC.AllocateUninitializedArray<byte>(bytes);
            source.ReadPart(piece, stored.AsSpan(0, bytes));
            Pack(piece.Tensor, load.Matrix, index * load.Part.PieceRows, stored.AsSpan(0, bytes));
            if (load.EndPiece(index, stored.AsSpan(0, bytes), source.KnownHash(load.Part)) is { } whole) loaded.Add(whole);
            Count(bytes);
        }
    }

    void Pack(TensorInfo tensor, PackedMatrix matrix, int firstRow, ReadOnlySpan<byte> stored)
    {
        try
        {
            matrix.Pack(firstRow, stored);
        }
        catch (InvalidDataException e)
        {
            throw Damaged(tensor, e.Message);
        }
    }

    ModelFormatException Damaged(TensorInfo tensor, string what) => new($"{source.Name}: tensor {tensor.Name} is damaged: {what}");

    void Count(long bytes)
    {
        lock (_progress)
        {
            _bytesLoaded += bytes;
            bytesLoaded?.Report(_bytesLoaded);
        }
    }

    static string HashOf(ReadOnlySpan<byte> vector)
    {
        Span<byte> hash = stackalloc byte[PartHash.PieceHashBytes];
        PartHash.HashPiece(vector, 0, hash);
        return PartHash.Of(hash);
    }

    readonly record struct Piece(MatrixLoad Load, int Index);

    /// <summary>A matrix that is being filled.</summary>
    sealed class MatrixLoad(TensorPart part, PackedMatrix matrix, bool hashes)
    {
        readonly byte[]? _pieceHashes = hashes ? new byte[part.PieceCount * PartHash.PieceHashBytes] : null;
        int _left = part.PieceCount;

        public TensorPart Part => part;

        public PackedMatrix Matrix => matrix;

        public bool IsWhole => Volatile.Read(ref _left) == 0;

        /// <param name="known">The hash of the whole part, the same for all its pieces. Null: it is to be made of theirs.</param>
        /// <returns>The whole part, if this was its last piece.</returns>
        public LoadedPart? EndPiece(int index, ReadOnlySpan<byte> stored, string? known)
        {
            if (known is null && _pieceHashes is not null) PartHash.HashPiece(stored, index, _pieceHashes);
            if (Interlocked.Decrement(ref _left) > 0) return null;
            return new LoadedPart(part, matrix, null, _pieceHashes is null ? null : known ?? PartHash.Of(_pieceHashes));
        }
    }

    struct Job : IComputeJob
    {
        public WeightLoader Loader;

        public readonly void Run(int thread, int threads)
        {
            try
            {
                Loader.LoadPieces();
            }
            catch
            {
                Loader._stopped = true;
                throw;
            }
        }
    }
}

/// <summary>The progress of a whole whose parts are done one after the other and each count from 0.</summary>
sealed class PartsProgress(IProgress<long> whole)
{
    long _done;

    /// <summary>For the next part; those before are complete.</summary>
    public IProgress<long> NextPart() => new Part(this, whole, _done);

    sealed class Part(PartsProgress parts, IProgress<long> whole, long before) : IProgress<long>
    {
        public void Report(long value)
        {
            parts._done = before + value;
            whole.Report(parts._done);
        }
    }
}
