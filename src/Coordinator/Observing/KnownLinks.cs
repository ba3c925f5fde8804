using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Coordinator.Observing;

/// <summary>The links that were measured, by addresses. A measurement counts for both directions.</summary>
sealed class KnownLinks(IReadOnlyList<MeasuredWay> ways)
{
    readonly Dictionary<(string, string), Link> _links =
        ways.SelectMany(way => new[] { ((way.From, way.To), way.Link), ((way.To, way.From), way.Link) }).DistinctBy(way => way.Item1).ToDictionary();

    /// <returns>Null if the way between these hosts was not measured.</returns>
    public Link? Find(Uri from, Uri to) => _links.TryGetValue((from.Host, to.Host), out var link) ? link : null;
}
