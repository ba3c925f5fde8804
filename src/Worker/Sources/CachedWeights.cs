using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// A model whose files are elsewhere: it is described, and those parts of it can be read that are in the cache and were added here. Who reads one that is
/// coming waits for it. Safe for concurrent use.
/// </summary>
sealed class CachedWeights(string name, LlamaConfig config, string digest, IReadOnlyList<TensorInfo> tensors) : IModelWeights
{
    readonly Dictionary<string, TensorInfo> _byName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    readonly Dictionary<string, CachedTensor> _cached = new(StringComparer.Ordinal);
    readonly HashSet<string> _coming = new(StringComparer.Ordinal);
    readonly object _news = new();   // of the two; a monitor, since readers are threads

    public string Name => name;

    public LlamaConfig Config { get; private set; } = config;

    public IReadOnlyList<TensorInfo> Tensors => tensors;

    /// <summary>The entries that can be read.</summary>
    public IReadOnlyCollection<CachedTensor> Cached
    {
        get
        {
            lock (_news) return [.. _cached.Values];
        }
    }

    public TensorInfo? Find(string name) => _byName.GetValueOrDefault(name);

    public CachedTensor? CachedPart(TensorPart part) => FindCached(part.Tensor) is { } cached && cached.Part == part ? cached : null;

    /// <summary>The entry that has all of a part.</summary>
    public CachedTensor? CachedAround(TensorPart part) => FindCached(part.Tensor) is { } cached && cached.Part.Contains(part) ? cached : null;

    public string? KnownHash(TensorPart part) => CachedPart(part) is { IsHashed: true } cached ? cached.Hash : null;

    /// <summary>Parts of these tensors are coming. Whoever says so calls <see cref="ExpectNothing"/> when all have come, and when no more will.</summary>
    public void Expect(IEnumerable<TensorPart> parts)
    {
        lock (_news) _coming.UnionWith(parts.Select(part => part.Tensor.Name));
    }

    public void ExpectNothing()
    {
        lock (_news)
        {
            _coming.Clear();
            Monitor.PulseAll(_news);
        }
    }

    /// <param name="tensor">Owned from now on.</param>
    public void Add(CachedTensor tensor)
    {
        lock (_news)
        {
            _cached.Add(tensor.Part.Tensor.Name, tensor);
            Monitor.PulseAll(_news);
        }
    }

    public void Remove(CachedTensor tensor)
    {
        lock (_news) _cached.Remove(tensor.Part.Tensor.Name);
    }

    /// <summary>Takes a config that needed a tensor's data to be complete.</summary>
    public void Complete(LlamaConfig config) => Config = config;

    public string? FileOf(TensorInfo tensor) => FindCached(tensor)?.Path;

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        tensor.CheckRows(firstRow, destination.Length);
        ReadPart(TensorPart.Rows(tensor, firstRow, destination.Length / tensor.RowBytes), destination);
    }

    public void ReadPart(TensorPart part, Span<byte> destination)
    {
        var cached = Await(part.Tensor);
        if (cached.Part.Tensor != part.Tensor) throw new ArgumentException($"{part.Tensor} of {Name} was not fetched", nameof(part));
        cached.ReadPart(part, destination);
    }

    /// <summary>The digest of the whole model, under which its tensors were fetched. A shard's tensors alone do not give it.</summary>
    public string ComputeDigest(CancellationToken cancellation = default) => digest;

    public void Dispose()
    {
        foreach (var cached in Cached) cached.Dispose();
    }

    CachedTensor? FindCached(TensorInfo tensor)
    {
        lock (_news) return _cached.GetValueOrDefault(tensor.Name);
    }

    CachedTensor Await(TensorInfo tensor)
    {
        lock (_news)
        {
            while (true)
            {
                if (_cached.TryGetValue(tensor.Name, out var cached)) return cached;
                if (!_coming.Contains(tensor.Name)) throw new ModelFormatException($"{Name}: {tensor.Name} has not come");
                Monitor.Wait(_news);   // until whoever fetches it has it or gives up, which has deadlines of its own
            }
        }
    }
}
