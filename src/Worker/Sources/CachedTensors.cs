using LlamaCluster.Model.Formats;

namespace LlamaCluster.Worker.Sources;

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

    /// <summary>Opens those parts that the cache has whole, which takes reading them.</summary>
    /// <returns>The other ones.</returns>
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
