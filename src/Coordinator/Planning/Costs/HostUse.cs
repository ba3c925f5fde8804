using LlamaCluster.Coordinator.Planning.Profiles;

namespace LlamaCluster.Coordinator.Planning.Costs;

/// <summary>How many workers and threads of each host are at work at the same time. Immutable.</summary>
public sealed class HostUse
{
    readonly Dictionary<int, (int Workers, int Threads)> _used;

    HostUse(Dictionary<int, (int, int)> used) => _used = used;

    /// <summary>
    /// With one step under way one stage works at a time; with several, as many stages, and where a host has part in more, in those
    /// in which it has most.
    /// </summary>
    /// <param name="stages">Workers of each stage.</param>
    /// <param name="stepsInFlight">At least 1.</param>
    public static HostUse Of(ClusterProfile cluster, IReadOnlyList<int[]> stages, int stepsInFlight)
    {
        var used = new Dictionary<int, (int, int)>();
        var parts = stages
            .SelectMany(stage => stage.GroupBy(worker => cluster.Workers[worker].Host), (_, part) => (Host: part.Key, Workers: part.Count(), Threads: part.Sum(worker => cluster.Workers[worker].Threads)))
            .GroupBy(part => part.Host);
        foreach (var host in parts)
        {
            var busiest = host.OrderByDescending(part => part.Workers).ThenByDescending(part => part.Threads).Take(stepsInFlight).ToList();
            used[host.Key] = (busiest.Sum(part => part.Workers), busiest.Sum(part => part.Threads));
        }
        return new HostUse(used);
    }

    public int Workers(int host) => _used.TryGetValue(host, out var use) ? use.Workers : 0;

    public int Threads(int host) => _used.TryGetValue(host, out var use) ? use.Threads : 0;
}
