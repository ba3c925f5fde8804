
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning;

/// <summary>Workers of the same kind measure nearly the same, never quite. Each takes the place of the first one that it is like.</summary>
static class LikeMachines
{
    /// <summary>How far measurements of like workers may be apart.</summary>
    const double Tolerance = 0.1;

    public static IReadOnlyList<MachineFacts> Of(IReadOnlyList<MachineFacts> all)
    {
        List<MachineFacts> firsts = [];
        return [.. all.Select(own =>
        {
            if (firsts.Find(first => AreLike(first, own)) is { } like) return like with { MemoryBytes = own.MemoryBytes };
            firsts.Add(own);
            return own;
        })];
    }

    static bool AreLike(MachineFacts a, MachineFacts b) =>
        a.Threads == b.Threads
        && AreNear(a.MemoryReadBytesPerSecond, b.MemoryReadBytesPerSecond)
        && AreNear(a.MultiplyAddsPerSecond, b.MultiplyAddsPerSecond)
        && a.HostProcessors == b.HostProcessors
        && AreNear(a.HostReadBytesPerSecond, b.HostReadBytesPerSecond)
        && AreNear(a.HostMultiplyAddsPerSecond, b.HostMultiplyAddsPerSecond)
        && a.Paces.Count == b.Paces.Count
        && a.Paces.All(pace => b.Paces.TryGetValue(pace.Key, out var other) && AreNear(pace.Value.OneRow, other.OneRow) && AreNear(pace.Value.ManyRows, other.ManyRows));

    static bool AreNear(double a, double b) => Math.Abs(a - b) <= Tolerance * Math.Max(a, b);
}
