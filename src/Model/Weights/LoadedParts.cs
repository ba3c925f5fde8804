using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Model.Weights;

/// <summary>A part of a tensor in memory: a packed matrix, or the values of a vector.</summary>
/// <param name="Hash">The <see cref="PartHash"/> of what was read. Null: nobody wanted to know.</param>
public sealed record LoadedPart(TensorPart Part, PackedMatrix? Matrix, float[]? Vector, string? Hash)
{
    public long Bytes => Matrix?.Bytes ?? sizeof(float) * (Vector?.LongLength ?? 0);
}

/// <summary>
/// The parts of one model that are in memory. They outlive the shards that are made of them: a shard that shares layers with the one before takes
/// those over, and a loading that broke off goes on after the last part that is whole. Safe for concurrent use.
/// </summary>
public sealed class LoadedParts : IDisposable
{
    readonly Dictionary<TensorPart, LoadedPart> _parts = [];
    readonly Lock _lock = new();

    /// <summary>Resident size.</summary>
    public long Bytes
    {
        get
        {
            lock (_lock) return _parts.Values.Sum(part => part.Bytes);
        }
    }

    public LoadedPart? Find(TensorPart part)
    {
        lock (_lock) return _parts.GetValueOrDefault(part);
    }

    public void Add(LoadedPart part)
    {
        lock (_lock) _parts.Add(part.Part, part);
    }

    /// <summary>Frees all others.</summary>
    public void KeepOnly(IEnumerable<TensorPart> wanted)
    {
        var keep = wanted.ToHashSet();
        lock (_lock) Remove([.. _parts.Keys.Where(part => !keep.Contains(part))]);
    }

    /// <summary>Frees these. No shard may use them any more.</summary>
    public void Remove(IReadOnlyList<TensorPart> parts)
    {
        lock (_lock)
            foreach (var part in parts)
                if (_parts.Remove(part, out var loaded)) loaded.Matrix?.Dispose();
    }

    public void Dispose() => KeepOnly([]);
}
