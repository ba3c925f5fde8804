using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>
/// What makes groups of workers alike: the kinds of the workers, and how they stand on hosts of which kinds. Hosts whose kind has but one host
/// are told apart, so that links between them are too.
/// </summary>
static class GroupKind
{
    public static string Of(ClusterProfile cluster, int[] workers)
    {
        Dictionary<int, int> hosts = [];
        return string.Join(',', workers.Select(worker =>
        {
            var host = cluster.Workers[worker].Host;
            if (!hosts.TryGetValue(host, out var place)) hosts[host] = place = hosts.Count;
            return $"{cluster.WorkerKinds[worker]}@{place}/{cluster.HostKinds[host]}";
        }));
    }
}
