using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Worker.Sources;

/// <summary>A model whose files are elsewhere: it is described, and those parts of it can be read that are in the cache and were added here.</summary>
sealed class CachedWeights(string name, LlamaConfig config, string digest, IReadOnlyList<TensorInfo> tensors) : IModelWeights
{
    readonly Dictionary<string, TensorInfo> _byName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    readonly Dictionary<string, CachedTensor> _cached = new(StringComparer.Ordinal);

    public string Name => name;

    public LlamaConfig Config { get; private set; } = config;

    public IReadOnlyList<TensorInfo> Tensors => tensors;

    /// <summary>The entries that can be read.</summary>
    public IReadOnlyCollection<CachedTensor> Cached => _cached.Values;

    public TensorInfo? Find(string name) => _byName.GetValueOrDefault(name);

    public CachedTensor? CachedPart(TensorPart part) => _cached.GetValueOrDefault(part.Tensor.Name) is { } cached && cached.Part == part ? cached : null;

    /// <param name="tensor">Owned from now on.</param>
    public void Add(CachedTensor tensor) => _cached.Add(tensor.Part.Tensor.Name, tensor);

    public void Remove(CachedTensor tensor) => _cached.Remove(tensor.Part.Tensor.Name);

    /// <summary>Takes a config that needed a tensor's data to be complete.</summary>
    public void Complete(LlamaConfig config) => Config = config;

    public string? FileOf(TensorInfo tensor) => _cached.GetValueOrDefault(tensor.Name)?.Path;

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        tensor.CheckRows(firstRow, destination.Length);
        ReadPart(TensorPart.Rows(tensor, firstRow, destination.Length / tensor.RowBytes), destination);
    }

    public void ReadPart(TensorPart part, Span<byte> destination)
    {
        if (!_cached.TryGetValue(part.Tensor.Name, out var cached) || cached.Part.Tensor != part.Tensor)
            throw new ArgumentException($"{part.Tensor} of {Name} was not fetched", nameof(part));
        cached.ReadPart(part, destination);
    }

    /// <summary>The digest of the whole model, under which its tensors were fetched. A shard's tensors alone do not give it.</summary>
    public string ComputeDigest(CancellationToken cancellation = default) => digest;

    public void Dispose()
    {
        foreach (var cached in _cached.Values) cached.Dispose();
    }
}
