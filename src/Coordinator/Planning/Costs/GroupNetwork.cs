using LlamaCluster.Coordinator.Planning.Profiles;

namespace LlamaCluster.Coordinator.Planning.Costs;

/// <summary>What it takes to bring numbers from workers to workers.</summary>
sealed class GroupNetwork(ClusterProfile cluster, Overheads overheads)
{
    /// <summary>
    /// One sum over all ranks: two exchange theirs whole; more first give each rank its part of everyone's, then everyone the sums.
    /// </summary>
    /// <param name="bytes">Of one rank's partial sums.</param>
    public double SumSeconds(int[] ranks, double bytes)
    {
        if (ranks.Length == 1) return 0;
        var (rounds, part) = ranks.Length == 2 ? (1, bytes) : (2, bytes / ranks.Length);
        return rounds * (overheads.ExchangeSeconds + (ranks.Length - 2) * overheads.PeerSeconds + RoundSeconds(ranks, part));
    }

    /// <summary>All ranks get all of what each has a part of.</summary>
    public double GatherSeconds(int[] ranks, double bytes) =>
        ranks.Length == 1 ? 0 : overheads.ExchangeSeconds + (ranks.Length - 2) * overheads.PeerSeconds + RoundSeconds(ranks, bytes / ranks.Length);

    /// <summary>The first rank of a stage sends its output to every rank of the next.</summary>
    public TimeParts Hop(int[] from, int[] to, double bytes)
    {
        var (way, transfer) = (0.0, 0.0);
        foreach (var receiver in to)
        {
            var link = cluster.Between(from[0], receiver);
            way = Math.Max(way, link.OneWaySeconds);
            transfer += bytes / link.BytesPerSecond;
        }
        return new TimeParts { Transfer = way + transfer, Program = overheads.HopSeconds + (to.Length - 1) * overheads.PeerSeconds };
    }

    /// <summary>From the coordinator to the first stage and from the last stage back.</summary>
    public TimeParts Step(int[] first, int[] last) => new()
    {
        Transfer = cluster.ToCoordinator(first[0]).OneWaySeconds + cluster.ToCoordinator(last[0]).OneWaySeconds,
        Program = overheads.StepSeconds,
    };

    /// <summary>Every rank sends a part to every other; ranks of one host share its way to the others.</summary>
    double RoundSeconds(int[] ranks, double part)
    {
        var (way, slowest) = (0.0, 0.0);
        foreach (var rank in ranks)
        {
            var host = cluster.Workers[rank].Host;
            var neighbours = ranks.Count(other => cluster.Workers[other].Host == host);
            var transfer = 0.0;
            foreach (var other in ranks)
            {
                if (other == rank) continue;
                var link = cluster.Between(rank, other);
                way = Math.Max(way, link.OneWaySeconds);
                transfer += part / link.BytesPerSecond * (cluster.Workers[other].Host == host ? 1 : neighbours);
            }
            slowest = Math.Max(slowest, transfer);
        }
        return way + slowest;
    }
}
