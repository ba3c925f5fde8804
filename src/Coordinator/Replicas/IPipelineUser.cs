using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>Runs sequences on the views that a supervisor brings up, on one pipeline after the other. Safe for concurrent use.</summary>
public interface IPipelineUser
{
    /// <summary>Stands at everything that is measured of it.</summary>
    string Name { get; }

    /// <summary>How the supervisor is getting on.</summary>
    EngineStatus Status { set; }

    /// <summary>Sequences run on this pipeline from now on, those too that another one ran before.</summary>
    void Attach(IPipeline pipeline);

    /// <summary>Sequences run no longer on this pipeline. They wait for another to be attached (<see cref="ClusterDeadlines.Recovery"/>).</summary>
    void Detach(IPipeline pipeline, PipelineFailure why);

    /// <summary>How much is open now.</summary>
    Task<ReplicaLoad> CountAsync();

    /// <summary>What the workers of the last view have that is worth having in the next one.</summary>
    /// <param name="view">Its version; nothing is said of another one.</param>
    Task<FullBlocks> FullBlocksAsync(ulong view);

    /// <summary>Takes no new sequences until the next pipeline is attached.</summary>
    /// <param name="forGood">Not even then: the process is stopping.</param>
    /// <returns>Completes when no sequence is open any more.</returns>
    Task DrainAsync(string reason, bool forGood = false);
}
