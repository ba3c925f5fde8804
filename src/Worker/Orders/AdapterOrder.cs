using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Orders;

/// <summary>An adapter that a worker is to hold its part of.</summary>
/// <param name="VocabularySize">Of its sequences.</param>
sealed record AdapterOrder(string Digest, IReadOnlyList<Wire.AdapterMatrix> Matrices, IReadOnlyList<Wire.AdapterReplacement> Replacements, uint VocabularySize)
{
    /// <summary>How sequences name it.</summary>
    public ulong Id { get; } = AdapterIdentity.IdOf(Digest);

    /// <summary>
    /// Pairs and whole matrices, in the shapes that a model asks for. Nothing else is let through: names become file names, and shapes sizes.
    /// </summary>
    /// <exception cref="InvalidMessageException">The model has no such matrix, or a field is out of range.</exception>
    public AdapterContent ContentFor(LlamaConfig config, LoadOrder order)
    {
        var vocabularySize = Field.Count($"vocabulary_size of adapter {Digest}", VocabularySize, config.VocabularySize, order.MaxVocabularyOf(config));
        var targets = AdapterTargets.Of(config, vocabularySize);
        return new AdapterContent(PairsOf(targets, order.MaxAdapterRank), ReplacementsOf(targets), vocabularySize, config.LayerCount);
    }

    AdapterReplacement[] ReplacementsOf(IReadOnlyDictionary<string, AdapterTarget> targets)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        return [.. Replacements.Select(replacement =>
        {
            if (!targets.TryGetValue(replacement.Target, out var target) || !target.IsOfVocabulary || !seen.Add(replacement.Target)
                || (replacement.Tensor != target.Name && !(target.IsHead && replacement.Tensor == LlamaTensors.Embedding)))
                throw new InvalidMessageException(
                    $"target {ErrorText.Quote(replacement.Target)} of adapter {Digest} cannot be brought whole, or stands there twice");
            return new AdapterReplacement(target, new TensorInfo(replacement.Tensor, TypeOf(replacement.Type), target.Rows, target.Columns));
        })];
    }

    AdapterPair[] PairsOf(IReadOnlyDictionary<string, AdapterTarget> targets, int maxRank)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        return [.. Matrices.Select(matrix =>
        {
            if (!targets.TryGetValue(matrix.Target, out var target) || !seen.Add(matrix.Target))
                throw new InvalidMessageException(
                    $"target {ErrorText.Quote(matrix.Target)} of adapter {Digest} is no matrix of the model, or stands there twice");
            var rank = Field.Count($"rank of {target.Name}", matrix.Rank, 1, maxRank);
            if (!float.IsFinite(matrix.Scale)) throw new InvalidMessageException($"scale of {target.Name} is not a finite number");
            var (nameOfA, nameOfB) = (AdapterPair.NameOfA(target.Name), AdapterPair.NameOfB(target.Name));
            return target.IsEmbedding
                ? new AdapterPair(
                    target, new TensorInfo(nameOfA, TypeOf(matrix.AType), target.Rows, rank),
                    new TensorInfo(nameOfB, TypeOf(matrix.BType), target.Columns, rank), matrix.Scale)
                : new AdapterPair(
                    target, new TensorInfo(nameOfA, TypeOf(matrix.AType), rank, target.Columns),
                    new TensorInfo(nameOfB, TypeOf(matrix.BType), target.Rows, rank), matrix.Scale);
        })];
    }

    static TensorType TypeOf(uint number) => (TensorType)number is var type && number <= int.MaxValue && Enum.IsDefined(type) && type.BlockSize() == 1
        ? type
        : throw new InvalidMessageException($"type {number} of an adapter's matrix is not one of floats");
}

/// <summary>The adapters that a worker is to hold from now on beside the shard of a view: a SetAdaptersRequest that was checked.</summary>
/// <param name="Number">Grows with each change within a view.</param>
sealed record AdapterChange(ulong ViewVersion, ulong Epoch, ulong Number, IReadOnlyList<AdapterOrder> Adapters);

/// <summary>Reads what orders say of adapters.</summary>
static class AdapterOrders
{
    public const int MostAdapters = 256;

    const int MostMatrices = 1 << 14;

    /// <inheritdoc cref="Read(IReadOnlyCollection{Wire.Adapter})"/>
    public static AdapterChange ToChange(this Wire.SetAdaptersRequest request) =>
        new(request.ViewVersion, request.Epoch, request.Change, Read(request.Adapters));

    /// <exception cref="InvalidMessageException">There are too many, or a digest is none.</exception>
    public static IReadOnlyList<AdapterOrder> Read(IReadOnlyCollection<Wire.Adapter> adapters)
    {
        Field.Count("adapters", adapters.Count, 0, MostAdapters);
        return [.. adapters.Select(Read)];
    }

    /// <inheritdoc cref="Read(IReadOnlyCollection{Wire.Adapter})"/>
    public static AdapterOrder Read(Wire.Adapter adapter)
    {
        Field.Count("matrices of an adapter", (long)adapter.Matrices.Count + adapter.Replacements.Count, 1, MostMatrices);
        return new AdapterOrder(Field.Digest("digest of an adapter", adapter.Digest), adapter.Matrices, adapter.Replacements, adapter.VocabularySize);
    }
}
