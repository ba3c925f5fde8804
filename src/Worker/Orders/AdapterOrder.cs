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
sealed record AdapterOrder(string Digest, IReadOnlyList<Wire.AdapterMatrix> Matrices)
{
    /// <summary>How sequences name it.</summary>
    public ulong Id { get; } = AdapterIdentity.IdOf(Digest);

    /// <summary>The pairs, in the shapes that a model asks for. Nothing else is let through: names become file names, and shapes sizes.</summary>
    /// <exception cref="InvalidMessageException">The model has no such matrix, or a field is out of range.</exception>
    public IReadOnlyList<AdapterPair> PairsFor(LlamaConfig config, int maxRank)
    {
        var targets = AdapterTargets.Of(config);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        return [.. Matrices.Select(matrix =>
        {
            if (!targets.TryGetValue(matrix.Target, out var target) || !seen.Add(matrix.Target))
                throw new InvalidMessageException($"target {ErrorText.Quote(matrix.Target)} of adapter {Digest} is no matrix of the model, or stands there twice");
            var rank = Field.Count($"rank of {target.Name}", matrix.Rank, 1, maxRank);
            if (!float.IsFinite(matrix.Scale)) throw new InvalidMessageException($"scale of {target.Name} is not a finite number");
            return new AdapterPair(
                target, new TensorInfo(AdapterPair.NameOfA(target.Name), TypeOf(matrix.AType), rank, target.Columns),
                new TensorInfo(AdapterPair.NameOfB(target.Name), TypeOf(matrix.BType), target.Rows, rank), matrix.Scale);
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
    public static AdapterChange ToChange(this Wire.SetAdaptersRequest request) => new(request.ViewVersion, request.Epoch, request.Change, Read(request.Adapters));

    /// <exception cref="InvalidMessageException">There are too many, or a digest is none.</exception>
    public static IReadOnlyList<AdapterOrder> Read(IReadOnlyCollection<Wire.Adapter> adapters)
    {
        Field.Count("adapters", adapters.Count, 0, MostAdapters);
        return [.. adapters.Select(Read)];
    }

    /// <inheritdoc cref="Read(IReadOnlyCollection{Wire.Adapter})"/>
    public static AdapterOrder Read(Wire.Adapter adapter)
    {
        Field.Count("matrices of an adapter", adapter.Matrices.Count, 1, MostMatrices);
        return new AdapterOrder(Field.Digest("digest of an adapter", adapter.Digest), adapter.Matrices);
    }
}
