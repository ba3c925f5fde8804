namespace LlamaCluster.Planning.Plans;

/// <summary>
/// The assignment of a model's shards to the workers of one replica. Immutable, and valid by construction (see
/// <see cref="PlanRules"/>). A different assignment is a new plan with a higher view version.
/// </summary>
public sealed class ClusterPlan
{
    readonly ShardAssignment[] _assignments;
    readonly int[] _stageStarts;
    readonly Dictionary<WorkerId, ShardAssignment> _byWorker;

    ClusterPlan(ulong viewVersion, string modelName, string modelDigest, int layerCount, ShardAssignment[] assignments)
    {
        (ViewVersion, ModelName, ModelDigest, LayerCount, _assignments) = (viewVersion, modelName, modelDigest, layerCount, assignments);
        _stageStarts = [.. Enumerable.Range(0, assignments.Length).Where(i => assignments[i].Shard.Slice.Rank == 0), assignments.Length];
        _byWorker = assignments.ToDictionary(a => a.Worker);
    }

    /// <summary>Starts at 1 and grows with every plan that a coordinator makes.</summary>
    public ulong ViewVersion { get; }

    public string ModelName { get; }

    /// <summary>See <see cref="ModelIdentity"/>.</summary>
    public string ModelDigest { get; }

    public int LayerCount { get; }

    public int StageCount => _stageStarts.Length - 1;

    /// <summary>In stage order, then rank order.</summary>
    public IReadOnlyList<ShardAssignment> Assignments => _assignments;

    /// <param name="assignments">In stage order, then rank order.</param>
    /// <exception cref="ArgumentException">The plan breaks a rule of <see cref="PlanRules"/>; the message says which.</exception>
    public static ClusterPlan Create(
        ulong viewVersion, string modelName, string modelDigest, int layerCount, IReadOnlyList<ShardAssignment> assignments) =>
        PlanRules.FirstProblem(viewVersion, modelName, modelDigest, layerCount, assignments) is { } problem
            ? throw new ArgumentException($"not a plan: {problem}", nameof(assignments))
            : new ClusterPlan(viewVersion, modelName, modelDigest, layerCount, [.. assignments]);

    /// <summary>The workers that share a stage, in rank order.</summary>
    public ReadOnlySpan<ShardAssignment> Ranks(int stage) => _assignments.AsSpan(_stageStarts[stage].._stageStarts[stage + 1]);

    /// <summary>A worker's part; null if it has none.</summary>
    public ShardAssignment? Find(WorkerId worker) => _byWorker.GetValueOrDefault(worker);
}

/// <summary>One worker's part in a plan.</summary>
/// <param name="Address">Where other workers reach it: http or https, host and port.</param>
public sealed record ShardAssignment(WorkerId Worker, Uri Address, int Stage, Shard Shard);
