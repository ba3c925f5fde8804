namespace LlamaCluster.Planning.Search;

/// <summary>What a search found.</summary>
/// <param name="RunnerUp">The best of another shape; null if there is none.</param>
/// <param name="IsExact">Every scheme was looked at.</param>
/// <param name="Considered">Schemes that were looked at.</param>
/// <param name="Divisions">Divisions of layers that were computed for them.</param>
sealed record SearchResult(SchemeCost Best, SchemeCost? RunnerUp, bool IsExact, int Considered, int Divisions);
