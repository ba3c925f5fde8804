using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Weights;

/// <summary>What of an adapter a rank holds for one layer, of each matrix that the adapter changes. Null: it does not change it.</summary>
sealed record LayerAdapter
{
    public LowRankPair? Query { get; set; }

    public LowRankPair? Key { get; set; }

    public LowRankPair? Value { get; set; }

    public LowRankPair? AttentionOutput { get; set; }

    public LowRankPair? Gate { get; set; }

    public LowRankPair? Up { get; set; }

    public LowRankPair? Down { get; set; }
}

/// <summary>A part of an adapter's pair that a rank needs. Which it is follows from how the matrix itself is split.</summary>
/// <param name="A">Whole, or its columns where ranks share the matrix by columns: then the ranks' outputs add up as the matrix's own do.</param>
/// <param name="B">The rows that the rank has of the matrix, or all.</param>
public sealed record AdapterPart(AdapterPair Pair, TensorPart A, TensorPart B);

/// <summary>The parts of adapters that ranks need.</summary>
public static class AdapterParts
{
    /// <summary>Those of a rank of a stage, in the order of the forward pass.</summary>
    public static IReadOnlyList<AdapterPart> Of(IEnumerable<AdapterPair> pairs, LlamaConfig config, StageShape shape, StageSlice slice) =>
        [.. pairs.Where(pair => IsHeld(pair.Target, shape)).Select(pair => PartOf(pair, config, slice))];

    /// <summary>The resident size of parts, before they are loaded.</summary>
    public static long BytesOf(IEnumerable<AdapterPart> parts) => parts.Sum(part => BytesOf(part.A) + BytesOf(part.B));

    /// <summary>Of a part in memory, with what is left free behind it up to the next cache line.</summary>
    internal static long BytesOf(TensorPart part) => (PackedMatrix.BytesOf(part.Tensor.Type, part.RowCount, (int)part.ColumnCount) + 63) / 64 * 64;

    static bool IsHeld(AdapterTarget target, StageShape shape) =>
        target.Layer is { } layer ? layer >= shape.FirstLayer && layer < shape.EndLayer : shape.HasHead;

    static AdapterPart PartOf(AdapterPair pair, LlamaConfig config, StageSlice slice)
    {
        var own = OwnOf(pair.Target, config, slice);
        return pair.Target.IsSplitByColumns
            ? new(pair, TensorPart.Columns(pair.A, own.First, own.Count), TensorPart.Whole(pair.B))
            : new(pair, TensorPart.Whole(pair.A), TensorPart.Rows(pair.B, own.First, own.Count));
    }

    /// <summary>The rows, or the columns, of a matrix that are the rank's own.</summary>
    static IndexRange OwnOf(AdapterTarget target, LlamaConfig config, StageSlice slice) => target.Part switch
    {
        LlamaTensors.Query or AdapterTargets.AttentionOutput => Widths(slice.Heads, config.HeadSize),
        LlamaTensors.Key or AdapterTargets.Value => Widths(slice.KvHeads, config.HeadSize),
        _ => target.Layer is null ? slice.Vocabulary : slice.Ffn,
    };

    static IndexRange Widths(IndexRange heads, int headSize) => new(heads.First * headSize, heads.Count * headSize);
}

/// <summary>
/// An adapter as a rank of a stage holds it, packed for the kernels. Read-only. Its memory is freed when its owner and all sequences that use it have disposed of it,
/// each once. Safe for concurrent use.
/// </summary>
public sealed class ShardAdapter : IDisposable
{
    readonly List<LowRankPair> _pairs = [];
    readonly NativeBuffer<byte> _memory;   // of all pairs, in the order of the forward pass
    int _users = 1;   // the owner is one

    ShardAdapter(int layers, long bytes) => (Layers, _memory) = ([.. Enumerable.Range(0, layers).Select(_ => new LayerAdapter())], new NativeBuffer<byte>(bytes));

    /// <summary>Of the stage's layers, in order.</summary>
    internal IReadOnlyList<LayerAdapter> Layers { get; }

    /// <summary>The rank's rows of the head's; null where the head is not changed, or not here.</summary>
    internal LowRankPair? Head { get; private set; }

    /// <summary>0: the adapter changes nothing here.</summary>
    public int MaxRank => _pairs.Count == 0 ? 0 : _pairs.Max(pair => pair.Rank);

    /// <summary>Resident size.</summary>
    public long Bytes => _memory.Bytes;

    /// <param name="source">What the parts are read from.</param>
    /// <param name="parts">See <see cref="AdapterParts.Of"/>.</param>
    /// <param name="hashes">Gets what each part that was read hashes to. Null: nobody wants to know.</param>
    /// <exception cref="ModelFormatException">The parts cannot be read, or hold numbers that are not finite.</exception>
    public static ShardAdapter Load(
        IModelWeights source, IReadOnlyList<AdapterPart> parts, StageShape shape, IDictionary<TensorPart, string>? hashes, CancellationToken cancellation)
    {
        var adapter = new ShardAdapter(shape.LayerCount, AdapterParts.BytesOf(parts));
        try
        {
            var taken = 0L;
            PackedMatrix Read(TensorPart part)
            {
                var matrix = new PackedMatrix(part.Tensor.Type, (int)part.RowCount, (int)part.ColumnCount, adapter._memory, taken);
                taken += AdapterParts.BytesOf(part);
                ShardAdapter.Read(source, part, matrix, hashes, cancellation);
                return matrix;
            }
            foreach (var part in parts) adapter.Add(part.Pair.Target, shape, new LowRankPair(Read(part.A), Read(part.B), part.Pair.Scale));
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>As above, from the adapter itself.</summary>
    /// <inheritdoc cref="Load(IModelWeights, IReadOnlyList{AdapterPart}, StageShape, IDictionary{TensorPart, string}, CancellationToken)"/>
    public static ShardAdapter Load(AdapterWeights source, LlamaConfig config, StageShape shape, StageSlice slice, CancellationToken cancellation = default) =>
        Load(source.Tensors, AdapterParts.Of(source.Pairs, config, shape, slice), shape, null, cancellation);

    /// <summary>One more uses it from now on, who disposes of it too.</summary>
    /// <returns>False: it is gone.</returns>
    public bool TryUse()
    {
        for (var users = Volatile.Read(ref _users); users > 0; users = Volatile.Read(ref _users))
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users) return true;
        return false;
    }

    public void Dispose()
    {
        if (Interlocked.Decrement(ref _users) == 0) _memory.Dispose();
    }

    static void Read(IModelWeights source, TensorPart part, PackedMatrix matrix, IDictionary<TensorPart, string>? hashes, CancellationToken cancellation)
    {
        try
        {
            var pieceHashes = new byte[part.PieceCount * PartHash.PieceHashBytes];
            var stored = new byte[part.PieceAt(0).Bytes];
            for (var index = 0; index < part.PieceCount; index++)
            {
                cancellation.ThrowIfCancellationRequested();
                var piece = part.PieceAt(index);
                var bytes = stored.AsSpan(0, (int)piece.Bytes);
                source.ReadPart(piece, bytes);
                if (hashes is not null) PartHash.HashPiece(bytes, index, pieceHashes);
                matrix.Pack(index * part.PieceRows, bytes);
            }
            if (hashes is not null) hashes[part] = PartHash.Of(pieceHashes);
        }
        catch (InvalidDataException e)
        {
            throw new ModelFormatException($"{source.Name}: tensor {part.Tensor.Name} is damaged: {e.Message}", e);
        }
    }

    void Add(AdapterTarget target, StageShape shape, LowRankPair pair)
    {
        _pairs.Add(pair);
        if (target.Layer is not { } number)
        {
            Head = pair;
            return;
        }
        var layer = Layers[number - shape.FirstLayer];
        switch (target.Part)
        {
            case LlamaTensors.Query: layer.Query = pair; break;
            case LlamaTensors.Key: layer.Key = pair; break;
            case AdapterTargets.Value: layer.Value = pair; break;
            case AdapterTargets.AttentionOutput: layer.AttentionOutput = pair; break;
            case AdapterTargets.Gate: layer.Gate = pair; break;
            case AdapterTargets.Up: layer.Up = pair; break;
            case LlamaTensors.Down: layer.Down = pair; break;
            default: throw new ArgumentException($"{target.Part} is no matrix that adapters change", nameof(target));
        }
    }
}
