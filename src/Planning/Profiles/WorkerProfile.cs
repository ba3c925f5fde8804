namespace LlamaCluster.Planning.Profiles;

/// <summary>What one worker can do.</summary>
/// <param name="Host">Index of its <see cref="HostProfile"/>.</param>
/// <param name="MemoryBytes">For weights, KV cache and buffers; 0: unknown, and no limit.</param>
/// <param name="Threads">Compute threads.</param>
/// <param name="ReadBytesPerSecond">Plain reads of memory by all its threads.</param>
/// <param name="MultiplyAddsPerSecond">Many rows, for types that <paramref name="Paces"/> does not name.</param>
/// <param name="Paces">By tensor type; those that were measured.</param>
public sealed record WorkerProfile(
    string Name, int Host, long MemoryBytes, int Threads, double ReadBytesPerSecond, double MultiplyAddsPerSecond, IReadOnlyDictionary<string, ProductPace> Paces)
{
    /// <summary>How much slower weights are used for one row than for many: Q4_0's unpacking, as measured with 512-bit vectors.</summary>
    const double OneRowSlowdown = 2.6;

    /// <summary>The pace with weights of a type; one that was not measured is taken to be like Q4_0.</summary>
    public ProductPace PaceOf(string type) => Paces.TryGetValue(type, out var measured) ? measured : new ProductPace(MultiplyAddsPerSecond / OneRowSlowdown, MultiplyAddsPerSecond);

    /// <summary>The same worker but for name and host.</summary>
    public bool IsLike(WorkerProfile other) =>
        this with { Name = "", Host = 0, Paces = other.Paces } == other with { Name = "", Host = 0 }
        && Paces.Count == other.Paces.Count && Paces.All(pace => other.Paces.TryGetValue(pace.Key, out var theirs) && theirs == pace.Value);
}
