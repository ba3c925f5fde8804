using System.Runtime.CompilerServices;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>The replicas of other coordinators, as this one sees them now.</summary>
interface IOtherReplicas
{
    IReadOnlyList<IReplica> All { get; }
}

/// <summary>
/// The engine of a coordinator that is one of several. A request goes to the replica that <see cref="ReplicaChoice"/> finds best, this coordinator's own or
/// another's, one hop away at most. If that replica is lost, its sequences go on on another one from the tokens that they have. Results are exact, so whoever
/// reads a stream finds every token once, and the same as if nothing had happened.
/// </summary>
sealed partial class ClusterRouter(
    OwnReplica own, IOtherReplicas others, KnownPrefixes prefixes, SequenceRules rules, ModelIdentity model, ClusterDeadlines deadlines, TimeProvider time,
    ILogger<ClusterRouter> logger) : IGenerationEngine
{
    /// <summary>A sequence that is lost so often in a row without a token is not tried again: it may be what ends its replicas.</summary>
    const int MostLosses = 4;

    static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(100);

    public EngineStatus Status
    {
        get
        {
            var status = own.Status;
            if (status.Ready) return status;
            var elsewhere = others.All.Select(replica => replica.Status).FirstOrDefault(other => other.Ready);
            return elsewhere is null ? status : status with { IsServedElsewhere = true, MaxPositions = status.MaxPositions ?? elsewhere.MaxPositions };
        }
    }

    public IAsyncEnumerable<SequenceEvent> GenerateAsync(SequenceRequest request, CancellationToken cancellation)
        => ReadAsync(new Lazy<Route>(() => Begin([request])), 0, cancellation);

    public IReadOnlyList<IAsyncEnumerable<SequenceEvent>> GenerateTogether(IReadOnlyList<SequenceRequest> requests)
    {
        var route = new Lazy<Route>(() => Begin(requests));
        return [.. Enumerable.Range(0, requests.Count).Select(index => ReadAsync(route, index, CancellationToken.None))];
    }

    Route Begin(IReadOnlyList<SequenceRequest> requests)
    {
        Route Refuse(SequenceEvent why) => new(requests, why, () => null) { First = null };
        if (Status is { TakesSequences: false } status) return Refuse(new SequenceEvent.Refused(status.Reason, Refusal.NotReady));
        if (rules.FirstProblem(requests) is { } wrong) return Refuse(new SequenceEvent.Failed(wrong, Retryable: false));
        IReadOnlyList<SequenceRequest> fitting = [.. requests.Select(rules.Fit)];
        var prompt = RoutedPrompt.Of(fitting[0], model.Digest);
        var order = new Queue<IReplica>(Order(fitting[0], prompt));
        Attempt? Next() => order.TryDequeue(out var replica) ? new Attempt(replica, Start(replica, fitting, prompt)) : null;
        return Next() is { } first
            ? new Route(fitting, null, Next) { First = first }
            : Refuse(new SequenceEvent.Refused("no replica takes requests now; send the request again later", Refusal.NotReady));
    }

    async IAsyncEnumerable<SequenceEvent> ReadAsync(Lazy<Route> route, int index, [EnumeratorCancellation] CancellationToken cancellation)
    {
        try
        {
            await foreach (var next in FollowAsync(route, index, cancellation)) yield return next;
        }
        finally
        {
            await route.Value.LeaveAsync(index);
        }
    }

    async IAsyncEnumerable<SequenceEvent> FollowAsync(Lazy<Route> route, int index, [EnumeratorCancellation] CancellationToken cancellation)
    {
        if (route.Value.Problem is { } problem)
        {
            yield return problem;
            yield break;
        }
        var progress = new SequenceProgress(route.Value.Requests[index]);
        var attempt = route.Value.First;   // null later on: it goes its way without the request's other sequences
        for (var (stream, replica) = (attempt!.Take(index), attempt.Replica); ;)
        {
            SequenceEvent? end = null;   // of this attempt, and not of the sequence
            using (var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellation, replica.Lost))
            {
                await using var events = stream.GetAsyncEnumerator(leaving.Token);
                while (end is null)
                {
                    try
                    {
                        end = await events.MoveNextAsync()
                            ? EndOf(events.Current)
                            : new SequenceEvent.Failed($"replica {replica.Name} ended without saying why", Retryable: true);
                    }
                    catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
                    {
                        end = new SequenceEvent.Failed($"replica {replica.Name} was lost", Retryable: true);
                    }
                    if (end is not null) break;
                    if (progress.Take(events.Current, replica.Name) is { } told) yield return told;
                    if (events.Current is SequenceEvent.Finished or SequenceEvent.Failed) yield break;
                }
            }
            if (progress.End is { } finished)
            {
                yield return finished;   // only the word that it has ended was lost
                yield break;
            }
            var areRefused = end is SequenceEvent.Refused && attempt is not null;   // all of them
            attempt = areRefused ? await route.Value.AfterAsync(attempt!) : null;
            (IAsyncEnumerable<SequenceEvent> Stream, IReplica Replica)? next = !areRefused ? await MoveAsync(progress, replica, end, cancellation)
                : attempt is null ? null
                : (attempt.Take(index), attempt.Replica);
            if (next is null)
            {
                yield return end;
                yield break;
            }
            (stream, replica) = next.Value;
        }
    }

    /// <summary>Has a sequence go on elsewhere, as soon as some replica takes it.</summary>
    /// <returns>Null if none did in the time that there is, or if it has been lost too often.</returns>
    async Task<(IAsyncEnumerable<SequenceEvent> Stream, IReplica Replica)?> MoveAsync(
        SequenceProgress progress, IReplica from, SequenceEvent why, CancellationToken cancellation)
    {
        if (why is SequenceEvent.Failed && progress.Lose() > MostLosses) return null;
        if (why is SequenceEvent.Refused) await Task.Delay(LookAgain, time, cancellation);
        var request = progress.Rest();
        var prompt = RoutedPrompt.Of(request, model.Digest);
        for (var (since, isFirst) = (progress.WaitingSince ??= time.GetTimestamp(), true); time.GetElapsedTime(since) < deadlines.Recovery; isFirst = false)
        {
            // The replica that has just lost or refused it is not asked again before a while has passed.
            if (Order(request, prompt).FirstOrDefault(replica => !isFirst || replica != from) is { } to)
            {
                if (why is SequenceEvent.Failed failed) LogMoves(request.RequestId, progress.Generated, to.Name, failed.Message);
                return (Start(to, [request], prompt)[0], to);
            }
            await Task.Delay(LookAgain, time, cancellation);
        }
        return null;
    }

    IEnumerable<IReplica> Order(SequenceRequest request, RoutedPrompt prompt)
    {
        var present = others.All.Prepend(own).Where(replica => !replica.Lost.IsCancellationRequested);
        return ReplicaChoice.Order(present.Select(replica => Describe(replica, request, prompt)), request.Prompt.Count);
    }

    ReplicaCandidate Describe(IReplica replica, SequenceRequest request, RoutedPrompt prompt)
    {
        var known = prefixes.PositionsOf(replica.Name, prompt.Marks);
        return new ReplicaCandidate(replica, replica == own, request.KvAt is { } at && at.Replica == replica.Name ? Math.Max(known, at.Positions) : known);
    }

    IReadOnlyList<IAsyncEnumerable<SequenceEvent>> Start(IReplica replica, IReadOnlyList<SequenceRequest> requests, RoutedPrompt prompt)
    {
        prefixes.Note(replica.Name, prompt.Marks);
        return replica.Run(requests, prompt);
    }

    /// <summary>Events after which another replica may do better.</summary>
    static SequenceEvent? EndOf(SequenceEvent happened) => happened is SequenceEvent.Refused or SequenceEvent.Failed { Retryable: true } ? happened : null;

    [LoggerMessage(Level = LogLevel.Warning, Message = "A sequence of request {Request} goes on after {Tokens} tokens on replica {Replica}: {Problem}")]
    partial void LogMoves(string request, int tokens, string replica, string problem);

    /// <summary>The sequences of a request on a replica.</summary>
    sealed class Attempt(IReplica replica, IReadOnlyList<IAsyncEnumerable<SequenceEvent>> streams)
    {
        readonly bool[] _taken = new bool[streams.Count];

        public IReplica Replica => replica;

        /// <summary>The events of a sequence, for the one who reads them.</summary>
        public IAsyncEnumerable<SequenceEvent> Take(int index)
        {
            Volatile.Write(ref _taken[index], true);
            return streams[index];
        }

        /// <summary>Ends a sequence whose events nobody has taken: it would run for nobody, and hold its KV for ever.</summary>
        public async Task AbandonAsync(int index)
        {
            if (Interlocked.Exchange(ref _taken[index], true)) return;
            await using var events = streams[index].GetAsyncEnumerator(new CancellationToken(canceled: true));
            try
            {
                await events.MoveNextAsync();
            }
            catch (OperationCanceledException)
            {
                return;   // as it was told
            }
        }
    }

    /// <summary>A request's way to a replica that takes all of its sequences on. One that refuses, refuses all of them.</summary>
    /// <param name="problem">The only event of all sequences, if no replica was asked.</param>
    /// <param name="next">Makes another attempt; gives null when all have been made.</param>
    sealed class Route(IReadOnlyList<SequenceRequest> requests, SequenceEvent? problem, Func<Attempt?> next)
    {
        readonly Lock _lock = new();
        readonly HashSet<int> _left = [];
        Attempt? _current;

        public IReadOnlyList<SequenceRequest> Requests => requests;

        public SequenceEvent? Problem => problem;

        /// <summary>Null if there is a problem.</summary>
        public required Attempt? First
        {
            get;
            init => field = _current = value;
        }

        /// <summary>The attempt that follows one that was refused; null: there is none. It has no sequences that were left meanwhile.</summary>
        public async Task<Attempt?> AfterAsync(Attempt refused)
        {
            Attempt? after;
            int[] left;
            lock (_lock)
            {
                if (_current == refused) _current = next();
                (after, left) = (_current, [.. _left]);
            }
            if (after is null) return null;
            foreach (var index in left) await after.AbandonAsync(index);
            return after;
        }

        /// <summary>Nobody reads the sequence any more.</summary>
        public async Task LeaveAsync(int index)
        {
            Attempt? current;
            lock (_lock)
            {
                _left.Add(index);
                current = _current;
            }
            if (current is not null) await current.AbandonAsync(index);
        }
    }
}
