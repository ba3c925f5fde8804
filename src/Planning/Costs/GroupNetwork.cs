using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>How long it takes to send numbers between workers.</summary>
sealed class GroupNetwork(ClusterProfile cluster, Overheads overheads)
{
    /// <summary>
    /// One sum over all ranks. Two ranks exchange all their partial sums. More ranks take two rounds: each rank first receives its part from
    /// all others and adds it up, and then sends the result to all others.
    /// </summary>
    /// <param name="bytes">The partial sums of one rank.</param>
    /// <param name="crowding">The factor by which the ranks' processors take longer.</param>
    public double SumSeconds(int[] ranks, double bytes, double crowding)
    {
        if (ranks.Length == 1) return 0;
        var (rounds, part) = ranks.Length == 2 ? (1, bytes) : (2, bytes / ranks.Length);
        return rounds * (crowding * ProgramSeconds(ranks) + RoundSeconds(ranks, part, crowding));
    }

    /// <summary>Every rank has one part and receives the parts of all others.</summary>
    public double GatherSeconds(int[] ranks, double bytes, double crowding) =>
        ranks.Length == 1 ? 0 : crowding * ProgramSeconds(ranks) + RoundSeconds(ranks, bytes / ranks.Length, crowding);

    /// <summary>Activations from one stage to the next. All ranks of a stage hold its output, and each sends it to some of the next stage's ranks.</summary>
    public TimeParts Hop(int[] from, int[] to, double bytes)
    {
        var way = 0.0;
        var (sent, received) = (new Dictionary<int, double>(), new Dictionary<int, double>());   // by host
        foreach (var (receiver, sender) in to.Select((receiver, rank) => (receiver, from[rank % from.Length])))
        {
            var link = cluster.Between(sender, receiver);
            var (fromHost, toHost) = (cluster.Workers[sender].Host, cluster.Workers[receiver].Host);
            way = Math.Max(way, link.OneWaySeconds);
            sent[fromHost] = sent.GetValueOrDefault(fromHost) + bytes / link.BytesPerSecond;
            received[toHost] = received.GetValueOrDefault(toHost) + bytes / link.BytesPerSecond;
        }
        var most = (to.Length + from.Length - 1) / from.Length;
        return new TimeParts
        {
            Transfer = way + Math.Max(sent.Values.Max(), received.Values.Max()),
            Program = overheads.HopSeconds + (most - 1) * overheads.PeerSeconds,
        };
    }

    /// <summary>The way from the coordinator to the first stage and from the last stage back.</summary>
    public TimeParts Step(int[] first, int[] last) => new()
    {
        Transfer = cluster.ToCoordinator(first[0]).OneWaySeconds + cluster.ToCoordinator(last[0]).OneWaySeconds,
        Program = overheads.StepSeconds,
    };

    double ProgramSeconds(int[] ranks) => overheads.ExchangeSeconds + (ranks.Length - 2) * overheads.PeerSeconds;

    /// <summary>Every rank sends a part to every other. Ranks of one host share its network link; between ranks of one host its processors copy.</summary>
    double RoundSeconds(int[] ranks, double part, double crowding)
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
                transfer += part / link.BytesPerSecond * (cluster.Workers[other].Host == host ? crowding : neighbours);
            }
            slowest = Math.Max(slowest, transfer);
        }
        return way + slowest;
    }
}
