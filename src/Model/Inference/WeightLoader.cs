using LlamaCluster.Kernels;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// Reads tensors into packed matrices: first all are asked for, which allocates them, then <see cref="Run"/> fills them, piece by piece
/// on all threads.
/// </summary>
sealed class WeightLoader(IModelWeights source, IProgress<long>? bytesLoaded, CancellationToken cancellation)
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

    /// <summary>A matrix that <see cref="Run"/> will fill.</summary>
    public PackedMatrix Matrix(string name, int rows, int columns)
    {
        var tensor = Find(name, rows, columns);
        var matrix = new PackedMatrix(tensor.Type, rows, columns);
        _matrices.Add(matrix);
        var pieceRows = (int)Math.Max(1, PieceBytes / tensor.RowBytes / PackedMatrix.RowGroup) * PackedMatrix.RowGroup;
        for (var first = 0; first < rows; first += pieceRows)
            _pieces.Add(new Piece(tensor, matrix, first, Math.Min(pieceRows, rows - first)));
        return matrix;
    }

    /// <summary>A vector, read at once.</summary>
    public float[] Vector(string name, int length)
    {
        var tensor = Find(name, 1, length);
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

    TensorInfo Find(string name, long rows, long columns)
    {
        var tensor = source.Find(name) ?? throw new ModelFormatException($"{source.Name}: tensor {name} is missing");
        return tensor.Rows == rows && tensor.Columns == columns
            ? tensor
            : throw new ModelFormatException($"{source.Name}: tensor {name} has shape [{tensor.Rows}, {tensor.Columns}]; the config asks for [{rows}, {columns}]");
    }

    void LoadPieces()
    {
        byte[] stored = [];
        while (!_stopped)
        {
            var index = Interlocked.Increment(ref _taken) - 1;
            if (index >= _pieces.Count) return;
            cancellation.ThrowIfCancellationRequested();
            var (tensor, matrix, firstRow, rows) = _pieces[index];
            var bytes = checked((int)(rows * tensor.RowBytes));
            if (stored.Length < bytes) stored = GC.AllocateUninitializedArray<byte>(bytes);
            source.ReadRows(tensor, firstRow, stored.AsSpan(0, bytes));
            Pack(tensor, matrix, firstRow, stored.AsSpan(0, bytes));
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

    readonly record struct Piece(TensorInfo Tensor, PackedMatrix Matrix, int FirstRow, int Rows);

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
