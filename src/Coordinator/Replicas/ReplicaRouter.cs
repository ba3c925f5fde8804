using System.Runtime.CompilerServices;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// The engine that the API talks to. It checks a request, finds a replica for it and passes the replica's events on. Here, and nowhere else
/// on a request's way, it is asked whether a replica is ready.
/// </summary>
public sealed class ReplicaRouter(IEnumerable<Replica> replicas, SequenceRules rules) : IGenerationEngine
{
    readonly Replica[] _replicas = [.. replicas];

    public EngineStatus Status => Choose().Status;

    public IAsyncEnumerable<SequenceEvent> GenerateAsync(SequenceRequest request, CancellationToken cancellation)
        => ReadAsync(new Lazy<Submission>(() => Submit([request])), 0, cancellation);

    public IReadOnlyList<IAsyncEnumerable<SequenceEvent>> GenerateTogether(IReadOnlyList<SequenceRequest> requests)
    {
        var submission = new Lazy<Submission>(() => Submit(requests));
        return [.. Enumerable.Range(0, requests.Count).Select(index => ReadAsync(submission, index, CancellationToken.None))];
    }

    /// <summary>No work is done for a request that no replica takes on, and none that grows with its prompt before the replica has queued it.</summary>
    Submission Submit(IReadOnlyList<SequenceRequest> requests)
    {
        var replica = Choose();
        if (replica.Status is { TakesSequences: false } status) return new Submission(replica, new SequenceEvent.Refused(status.Reason, Refusal.NotReady), []);
        if (rules.FirstProblem(requests) is { } problem) return new Submission(replica, new SequenceEvent.Failed(problem, Retryable: false), []);
        return new Submission(replica, null, replica.Submit([.. requests.Select(rules.Fit)]));
    }

    /// <summary>The first replica that is ready, else the first that will soon be again; the first of all if none is.</summary>
    Replica Choose() => Array.Find(_replicas, replica => replica.Status.Ready)
        ?? Array.Find(_replicas, replica => replica.Status.TakesSequences)
        ?? _replicas[0];

    async IAsyncEnumerable<SequenceEvent> ReadAsync(Lazy<Submission> submission, int index, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var (replica, unqueued, streams) = submission.Value;
        if (unqueued is not null)
        {
            yield return unqueued;
            yield break;
        }
        var stream = streams[index];
        try
        {
            await foreach (var next in stream.ReadAllAsync(cancellation))
                yield return next is SequenceEvent.Begun begun ? begun with { Replica = replica.Name } : next;
        }
        finally
        {
            replica.Abandon(stream);
        }
    }

    /// <param name="Unqueued">The only event of all requests, if they were not submitted.</param>
    sealed record Submission(Replica Replica, SequenceEvent? Unqueued, IReadOnlyList<SequenceStream> Streams);
}
