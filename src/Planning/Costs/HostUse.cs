using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>How many workers of a host work at the same time, and how much that slows them down.</summary>
/// <param name="Workers">The host's workers in all stages that work at the same time.</param>
/// <param name="Crowding">The factor by which everything takes longer where there are more threads than processors; at least 1.</param>
/// <param name="Slowdown">The factor by which products that wait for processors take longer: threads of one core share its units.</param>
readonly record struct HostUse(int Workers, double Crowding, double Slowdown)
{
    /// <summary>
    /// The use of each host. As many stages work at the same time as steps are in flight. If a host has workers in more stages than that, the stages
    /// with most of its workers count.
    /// </summary>
    /// <param name="stages">Workers of each stage.</param>
    /// <param name="stepsInFlight">At least 1.</param>
    public static IReadOnlyDictionary<int, HostUse> Of(ClusterProfile cluster, IReadOnlyList<int[]> stages, int stepsInFlight) => stages
        .SelectMany(stage => stage.GroupBy(worker => cluster.Workers[worker].Host), (_, part) => (Host: part.Key, Workers: part.ToArray()))
        .GroupBy(part => part.Host)
        .ToDictionary(host => host.Key, host => Of(
            cluster, cluster.Hosts[host.Key],
            [.. host.Select(part => part.Workers)
                .OrderByDescending(workers => workers.Length).ThenByDescending(workers => ThreadsOf(cluster, workers)).Take(stepsInFlight)]));

    static HostUse Of(ClusterProfile cluster, HostProfile host, int[][] parts)
    {
        var crowding = Math.Max(1, host.Processors == 0 ? 1 : Math.Max(
            (double)parts.Sum(part => ThreadsOf(cluster, part)) / host.Processors,
            // Ranks of a stage wait for each other: if one processor has two turns, all of them take as long as two.
            parts.Max(part => (ThreadsOf(cluster, part) + host.Processors - 1) / host.Processors)));
        var rates = parts.Sum(part => part.Sum(worker => cluster.Workers[worker].MultiplyAddsPerSecond));
        return new HostUse(
            parts.Sum(part => part.Length), crowding, Math.Max(crowding, host.MultiplyAddsPerSecond == 0 ? 1 : rates / host.MultiplyAddsPerSecond));
    }

    static int ThreadsOf(ClusterProfile cluster, int[] workers) => workers.Sum(worker => cluster.Workers[worker].Threads);
}
