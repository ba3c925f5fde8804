using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Weights;

/// <summary>
/// Reads a rank's parts of tensors into packed matrices: first all are asked for, which allocates them, then <see cref="Run"/> fills them, piece by
/// piece on all threads.
/// </summary>
sealed class WeightLoader(IModelWeights source, ShardParts parts, IProgress<long>? bytesLoaded, CancellationToken cancellation)
{
    /// <summary>About what one thread reads at a time: enough for a disk, and little beside a matrix.</summary>
    const int PieceBytes = 1 << 20;

    readonly List<PackedMatrix> _matrices = [];
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
        var tensor = Find(name, 1, length).Tensor;
        var stored = new byte[tensor.RowBytes];
        source.ReadRows(tensor, 0, stored);
        var values = new float[length];
        RowDecoder.Decode(tensor.Type, stored, values);
        if (values.AsSpan().ContainsAnyExceptInRange(float.MinValue, float.MaxValue)) throw Damaged(tensor, "a weight is infinite or not a number");
        VectorBytes += length * sizeof(float);
        Count(stored.Length);
        return values;
    }

    public void Run(ComputeThreads threads)
    {
        var job = new Job { Loader = this };
        threads.Run(ref job);
    }

    /// <summary>The part of a tensor that this rank needs, after a look at the tensor's shape.</summary>
    TensorPart Find(string name, long rows, long columns)
    {
        var tensor = source.Find(name) ?? throw new ModelFormatException($"{source.Name}: tensor {name} is missing");
        if (tensor.Rows != rows || tensor.Columns != columns)
            throw new ModelFormatException($"{source.Name}: tensor {name} has shape [{tensor.Rows}, {tensor.Columns}]; the config asks for [{rows}, {columns}]");
        return parts.Of(tensor) ?? throw new InvalidOperationException($"{name} is not of this shard");
    }

    PackedMatrix Matrix(TensorPart part)
    {
        var rows = (int)part.RowCount;
        var matrix = new PackedMatrix(part.Tensor.Type, rows, (int)part.ColumnCount);
        _matrices.Add(matrix);
        var pieceRows = (int)Math.Max(1, PieceBytes / part.RowBytes / RowGroup.Rows) * RowGroup.Rows;
        for (var first = 0; first < rows; first += pieceRows)
            _pieces.Add(new Piece(part.Piece(first, Math.Min(pieceRows, rows - first)), matrix, first));
        return matrix;
    }

    void LoadPieces()
    {
        byte[] stored = [];
        while (!_stopped)
        {
            var index = Interlocked.Increment(ref _taken) - 1;
            if (index >= _pieces.Count) return;
            cancellation.ThrowIfCancellationRequested();
            var (part, matrix, firstRow) = _pieces[index];
            var bytes = checked((int)part.Bytes);
            if (stored.Length < bytes) stored = GC.AllocateUninitializedArray<byte>(bytes);
            source.ReadPart(part, stored.AsSpan(0, bytes));
            Pack(part.Tensor, matrix, firstRow, stored.AsSpan(0, bytes));
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

    void Count(int bytes)
    {
        lock (_progress)
        {
            _bytesLoaded += bytes;
            bytesLoaded?.Report(_bytesLoaded);
        }
    }

    /// <param name="FirstRow">First row within the matrix.</param>
    readonly record struct Piece(TensorPart Part, PackedMatrix Matrix, int FirstRow);

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
