using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Worker.Sources;

/// <summary>A model of which only one shard's parts of tensors can be read, from the cache.</summary>
sealed class CachedWeights : IModelWeights
{
    readonly string _digest;
    readonly Dictionary<string, CachedTensor> _byName;

    /// <param name="tensors">Owned from now on.</param>
    public CachedWeights(string name, LlamaConfig config, string digest, IReadOnlyList<CachedTensor> tensors)
    {
        (Name, Config, _digest) = (name, config, digest);
        Tensors = [.. tensors.Select(cached => cached.Part.Tensor)];
        _byName = tensors.ToDictionary(cached => cached.Part.Tensor.Name, StringComparer.Ordinal);
    }

    public string Name { get; }

    public LlamaConfig Config { get; }

    public IReadOnlyList<TensorInfo> Tensors { get; }

    public TensorInfo? Find(string name) => _byName.GetValueOrDefault(name)?.Part.Tensor;

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        tensor.CheckRows(firstRow, destination.Length);
        ReadPart(TensorPart.Rows(tensor, firstRow, destination.Length / tensor.RowBytes), destination);
    }

    public void ReadPart(TensorPart part, Span<byte> destination)
    {
        if (!_byName.TryGetValue(part.Tensor.Name, out var cached) || cached.Part.Tensor != part.Tensor)
            throw new ArgumentException($"{part.Tensor} is not among this shard's tensors of {Name}", nameof(part));
        cached.ReadPart(part, destination);
    }

    /// <summary>The digest of the whole model, under which its tensors were fetched. A shard's tensors alone do not give it.</summary>
    public string ComputeDigest(CancellationToken cancellation = default) => _digest;

    public void Dispose()
    {
        foreach (var cached in _byName.Values) cached.Dispose();
    }
}

/// <summary>The tensors of a shard that are in the cache and open, while they are being gathered.</summary>
sealed class CachedTensors(WeightsCache cache, string digest) : IDisposable
{
    readonly Dictionary<TensorPart, CachedTensor> _tensors = [];

    public string Digest => digest;

    /// <summary>Whether any of them came over the network this time.</summary>
    public bool Fetched { get; private set; }

    public IReadOnlyList<CachedTensor> All => [.. _tensors.Values];

    public CachedTensor this[TensorInfo tensor] => _tensors[TensorPart.Whole(tensor)];

    public bool Has(TensorPart part) => _tensors.ContainsKey(part);

    public void AddFetched(CachedTensor tensor)
    {
        Fetched = true;
        _tensors.Add(tensor.Part, tensor);
    }

    /// <summary>Opens the parts that the cache has. Each is read through to check it.</summary>
    /// <returns>The parts that are missing.</returns>
    public IReadOnlyList<TensorPart> TakeWhatIsThere(IReadOnlyList<TensorPart> parts, IProgress<long> bytesChecked, CancellationToken cancellation)
    {
        cache.RemoveAbandoned(digest);
        var missing = new List<TensorPart>();
        long done = 0;
        foreach (var part in parts)
        {
            if (Has(part)) continue;
            if (cache.TryOpen(digest, part, cancellation) is { } cached) _tensors.Add(part, cached);
            else missing.Add(part);
            bytesChecked.Report(done += part.Bytes);
        }
        return missing;
    }

    public void Dispose()
    {
        foreach (var tensor in _tensors.Values) tensor.Dispose();
    }
}
