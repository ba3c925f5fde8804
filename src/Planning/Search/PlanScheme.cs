namespace LlamaCluster.Planning.Search;

/// <summary>Which workers share which stage, before layers are divided: for each stage its workers, in rank order.</summary>
sealed record PlanScheme(IReadOnlyList<int[]> Stages)
{
    /// <summary>For people: "3 stages of 2, 1 and 2 ranks".</summary>
    public string Shape
    {
        get
        {
            var stages = Stages.Count == 1 ? "1 stage" : $"{Stages.Count} stages";
            var counts = Stages.Select(stage => stage.Length).ToList();
            if (counts.Distinct().Count() == 1) return counts[0] == 1 ? $"{stages} of 1 worker" : $"{stages} of {counts[0]} ranks";
            return counts.Count <= 8
                ? $"{stages} of {string.Join(", ", counts.SkipLast(1))} and {counts[^1]} ranks"
                : $"{stages} of {counts.Min()} to {counts.Max()} ranks, {counts.Sum()} workers";
        }
    }

    public int Workers => Stages.Sum(stage => stage.Length);
}
