using System.Runtime.CompilerServices;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Supervision;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>What the API sees of the cluster: hands requests to the loop and passes its events on.</summary>
public sealed class GenerationEngine(GenerationLoop loop, Latest<ClusterStatus> status, SequenceRules rules) : IGenerationEngine
{
    public EngineStatus Status => status.Value.ToEngineStatus();

    public async IAsyncEnumerable<SequenceEvent> GenerateAsync(SequenceRequest request, [EnumeratorCancellation] CancellationToken cancellation)
    {
        if (rules.FirstProblem(request) is { } problem)
        {
            yield return new SequenceEvent.Failed(problem, Retryable: false);
            yield break;
        }
        if (!status.Value.IsReady)
        {
            yield return new SequenceEvent.Refused(status.Value.Reason, Refusal.NotReady);
            yield break;
        }
        cancellation.ThrowIfCancellationRequested();
        var stream = loop.Submit(request);
        try
        {
            await foreach (var next in stream.ReadAllAsync(cancellation)) yield return next;
        }
        finally
        {
            loop.Abandon(stream);
        }
    }
}
