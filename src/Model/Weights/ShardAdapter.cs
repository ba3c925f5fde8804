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

/// <summary>What a rank needs of a matrix that an adapter brings whole: the embedding whole, of the head the rank's rows.</summary>
public sealed record ReplacementPart(AdapterReplacement Replacement, TensorPart Tensor);

/// <summary>The parts of an adapter that a rank needs.</summary>
/// <param name="Pairs">In the order of the forward pass.</param>
/// <param name="VocabularySize">V of the sequences that use the adapter.</param>
public sealed record AdapterParts(IReadOnlyList<AdapterPart> Pairs, IReadOnlyList<ReplacementPart> Replacements, int VocabularySize)
{
    /// <summary>Those of a rank of a stage.</summary>
    public static AdapterParts Of(AdapterContent content, LlamaConfig config, StageShape shape, StageSlice slice) => new(
        [.. content.Pairs.Where(pair => IsHeld(pair.Target, shape)).Select(pair => PartOf(pair, config, slice))],
        [.. content.Replacements.Where(replacement => IsHeld(replacement.Target, shape)).Select(replacement => PartOf(replacement, config, slice))],
        content.VocabularySize);

    /// <summary>Each once.</summary>
    public IEnumerable<TensorPart> Tensors =>
        Pairs.SelectMany(part => new[] { part.A, part.B }).Concat(Replacements.Select(part => part.Tensor)).Distinct();

    /// <summary>The resident size, before they are loaded.</summary>
    public long Bytes => Pairs.Sum(part => BytesOf(part.A) + BytesOf(part.B)) + Replacements.Sum(part => BytesOf(part.Tensor));

    static long BytesOf(TensorPart part) => MatrixMemory.BytesOf(part.Tensor.Type, part.RowCount, (int)part.ColumnCount);

    static bool IsHeld(AdapterTarget target, StageShape shape) =>
        target.Layer is { } layer ? layer >= shape.FirstLayer && layer < shape.EndLayer : target.IsHead ? shape.HasHead : shape.Embeds;

    static ReplacementPart PartOf(AdapterReplacement replacement, LlamaConfig config, StageSlice slice)
    {
        var own = OwnOf(replacement.Target, config, slice);
        return new(replacement, TensorPart.Rows(replacement.Tensor, own.First, own.Count));
    }

    static AdapterPart PartOf(AdapterPair pair, LlamaConfig config, StageSlice slice)
    {
        if (pair.Target.IsEmbedding) return new(pair, TensorPart.Whole(pair.A), TensorPart.Whole(pair.B));
        var own = OwnOf(pair.Target, config, slice);
        return pair.Target.IsSplitByColumns
            ? new(pair, TensorPart.Columns(pair.A, own.First, own.Count), TensorPart.Whole(pair.B))
            : new(pair, TensorPart.Whole(pair.A), TensorPart.Rows(pair.B, own.First, own.Count));
    }

    /// <summary>The rows, or the columns, of a matrix that are the rank's own.</summary>
    static IndexRange OwnOf(AdapterTarget target, LlamaConfig config, StageSlice slice)
    {
        if (target.IsEmbedding) return new(0, target.Rows);
        if (target.Layer is not { } layer) return slice.VocabularyOf(config, target.Rows);
        var own = slice.Of(config, layer);
        return target.Part switch
        {
            AdapterTargets.AttentionOutput when config.SizesOf(layer).IsLinear => own.Linear,
            LlamaTensors.Query or AdapterTargets.AttentionOutput => Widths(own.Heads, config.HeadSize),
            LlamaTensors.Key or AdapterTargets.Value => Widths(own.KvHeads, config.HeadSize),
            _ => own.Ffn,
        };
    }

    static IndexRange Widths(IndexRange heads, int headSize) => new(heads.First * headSize, heads.Count * headSize);
}

/// <summary>
/// An adapter as a rank of a stage holds it, packed for the kernels. Read-only. Its memory is freed when its owner and all sequences that use it have disposed
/// of it, each once. Safe for concurrent use.
/// </summary>
public sealed class ShardAdapter : IDisposable
{
    readonly List<LowRankPair> _pairs = [];
    readonly List<PackedMatrix> _matrices = [];   // of all pairs, in the order of the forward pass
    int _users = 1;   // the owner is one

    ShardAdapter(int layers, AdapterParts parts)
    {
        (VocabularySize, Bytes) = (parts.VocabularySize, parts.Bytes);
        Layers = [.. Enumerable.Range(0, layers).Select(_ => new LayerAdapter())];
    }

    /// <summary>V of the sequences that use it: ids are below it.</summary>
    public int VocabularySize { get; }

    /// <summary>Of the stage's layers, in order.</summary>
    internal IReadOnlyList<LayerAdapter> Layers { get; }

    /// <summary>[V, D] in the place of the model's embedding; null: that is used, or it is not here.</summary>
    internal PackedMatrix? OwnEmbedding { get; private set; }

    /// <summary>The rank's rows of [V, D] in the place of the model's head; null: that is used, or it is not here.</summary>
    internal PackedMatrix? OwnHead { get; private set; }

    /// <summary>[V, R] and [D, R] of the embedding, which takes a token's row of A; null where it has no pair, or is not here.</summary>
    internal LowRankPair? Embedding { get; private set; }

    /// <summary>The rank's rows of the head's; null where the head has no pair, or is not here.</summary>
    internal LowRankPair? Head { get; private set; }

    /// <summary>0: the adapter changes nothing here.</summary>
    public int MaxRank => _pairs.Count == 0 ? 0 : _pairs.Max(pair => pair.Rank);

    /// <summary>Resident size.</summary>
    public long Bytes { get; }

    /// <param name="source">What the parts are read from.</param>
    /// <param name="parts">See <see cref="AdapterParts.Of"/>.</param>
    /// <param name="hashes">Gets what each part that was read hashes to. Null: nobody wants to know.</param>
    /// <exception cref="ModelFormatException">The parts cannot be read, or hold numbers that are not finite.</exception>
    public static ShardAdapter Load(
        IModelWeights source, AdapterParts parts, StageShape shape, IDictionary<TensorPart, string>? hashes, CancellationToken cancellation)
    {
        var adapter = new ShardAdapter(shape.LayerCount, parts);
        try
        {
            using var memory = new MatrixMemory(parts.Bytes);
            PackedMatrix Read(TensorPart part)
            {
                var matrix = memory.Add(part.Tensor.Type, (int)part.RowCount, (int)part.ColumnCount);
                adapter._matrices.Add(matrix);
                ShardAdapter.Read(source, part, matrix, hashes, cancellation);
                return matrix;
            }
            foreach (var part in parts.Replacements)
            {
                if (part.Replacement.Target.IsHead) adapter.OwnHead = Read(part.Tensor);
                else adapter.OwnEmbedding = Read(part.Tensor);
            }
            foreach (var part in parts.Pairs) adapter.Add(part.Pair.Target, shape, new LowRankPair(Read(part.A), Read(part.B), part.Pair.Scale));
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>As above, from the adapter itself.</summary>
    /// <inheritdoc cref="Load(IModelWeights, AdapterParts, StageShape, IDictionary{TensorPart, string}, CancellationToken)"/>
    public static ShardAdapter Load(AdapterWeights source, LlamaConfig config, StageShape shape, StageSlice slice, CancellationToken cancellation = default) =>
        Load(source.Tensors, AdapterParts.Of(source.Content, config, shape, slice), shape, null, cancellation);

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
        if (Interlocked.Decrement(ref _users) != 0) return;
        foreach (var matrix in _matrices) matrix.Dispose();
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
            if (target.IsHead) Head = pair;
            else Embedding = pair;
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
