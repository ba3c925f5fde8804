using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>How many workers of a host are at work at the same time, and what that does to them.</summary>
/// <param name="Workers">Of all stages that are at work.</param>
/// <param name="Crowding">How much longer everything takes where there are more threads than processors; 1 at least.</param>
/// <param name="Slowdown">How much longer products take that wait for processors: threads of one core share its units.</param>
readonly record struct HostUse(int Workers, double Crowding, double Slowdown)
{
    /// <summary>
    /// Of each host. With one step under way one stage works at a time; with several, as many stages, and where a host has part in more, in those
    /// in which it has most.
    /// </summary>
    /// <param name="stages">Workers of each stage.</param>
    /// <param name="stepsInFlight">At least 1.</param>
    public static IReadOnlyDictionary<int, HostUse> Of(ClusterProfile cluster, IReadOnlyList<int[]> stages, int stepsInFlight) => stages
        .SelectMany(stage => stage.GroupBy(worker => cluster.Workers[worker].Host), (_, part) => (Host: part.Key, Workers: part.ToArray()))
        .GroupBy(part => part.Host)
        .ToDictionary(host => host.Key, host => Of(
            cluster, cluster.Hosts[host.Key],
            [.. host.Select(part => part.Workers).OrderByDescending(workers => workers.Length).ThenByDescending(workers => ThreadsOf(cluster, workers)).Take(stepsInFlight)]));

    static HostUse Of(ClusterProfile cluster, HostProfile host, int[][] parts)
    {
        var crowding = Math.Max(1, host.Processors == 0 ? 1 : Math.Max(
            (double)parts.Sum(part => ThreadsOf(cluster, part)) / host.Processors,
            // Ranks of a stage wait for each other: a processor's second turn counts whole, even where others have but one.
            parts.Max(part => (ThreadsOf(cluster, part) + host.Processors - 1) / host.Processors)));
        var rates = parts.Sum(part => part.Sum(worker => cluster.Workers[worker].MultiplyAddsPerSecond));
        return new HostUse(parts.Sum(part => part.Length), crowding, Math.Max(crowding, host.MultiplyAddsPerSecond == 0 ? 1 : rates / host.MultiplyAddsPerSecond));
    }

    static int ThreadsOf(ClusterProfile cluster, int[] workers) => workers.Sum(worker => cluster.Workers[worker].Threads);
}
