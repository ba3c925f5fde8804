using System.Threading.Channels;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Hosting;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>What other coordinators ask of this one: how its replica is, and to run sequences on it. Nothing is ever sent on, so there are no loops.</summary>
sealed class ReplicasService(
    OwnReplica replica, PeerState state, PrefixNews news, SequenceRules rules, ModelIdentity model, AdapterRegistry adapters, IHostApplicationLifetime lifetime,
    TimeProvider time)
    : Wire.Replicas.ReplicasBase
{
    /// <summary>How often a change is looked for, and how long nothing may be said.</summary>
    static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    static readonly TimeSpan SpeakEvery = TimeSpan.FromMilliseconds(500);

    /// <summary>Between two messages of a request that is being sent.</summary>
    static readonly TimeSpan SendDeadline = TimeSpan.FromSeconds(10);

    /// <summary>Sequences of one call.</summary>
    const int MostSequences = 4096;

    const int MostMarks = 4096;

    [CalledBy(Caller.OtherCoordinator)]
    public override async Task Watch(WatchRequest request, IServerStreamWriter<ReplicaReport> reports, ServerCallContext context)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopped);
        using var timer = new PeriodicTimer(LookEvery, time);
        ReplicaReport? last = null;
        long place = 0;
        var spoken = time.GetTimestamp();
        do
        {
            var report = ReportOf();
            var isNews = !report.Equals(last);
            last = report.Clone();
            report.Prefixes.Add(news.Read(ref place, MostMarks));
            if (!isNews && report.Prefixes.Count == 0 && time.GetElapsedTime(spoken) < SpeakEvery) continue;
            await reports.WriteAsync(report, ends.Token);
            spoken = time.GetTimestamp();
        }
        while (await timer.WaitForNextTickAsync(ends.Token));
    }

    [CalledBy(Caller.OtherCoordinator)]
    public override async Task Generate(IAsyncStreamReader<GenerateRequest> requests, IServerStreamWriter<GenerateReply> replies, ServerCallContext context)
    {
        var asked = await ReadAsync(requests, context.CancellationToken);
        var outbox = Channel.CreateBounded<GenerateReply>(new BoundedChannelOptions(256) { SingleReader = true });
        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        var leaving = asked.Select(_ => CancellationTokenSource.CreateLinkedTokenSource(over.Token)).ToArray();
        var running = Start(asked).Select((stream, sequence) => PumpAsync(stream, sequence, outbox.Writer, leaving[sequence].Token)).ToArray();
        var listening = ListenAsync(requests, leaving, over.Token);
        var all = EndAsync(running, outbox.Writer);
        try
        {
            await foreach (var reply in outbox.Reader.ReadAllAsync(context.CancellationToken)) await replies.WriteAsync(reply, context.CancellationToken);
        }
        finally
        {
            await over.CancelAsync();
            await Task.WhenAll(all, listening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            foreach (var source in leaving) source.Dispose();
        }
    }

    ReplicaReport ReportOf()
    {
        var (status, use) = (replica.Status, replica.Use);
        return new ReplicaReport
        {
            Name = replica.Name,
            Epoch = state.Epoch,
            State = status.Ready ? ReplicaReport.Types.State.Ready
                : status.IsRecovering ? ReplicaReport.Types.State.Recovering
                : ReplicaReport.Types.State.NotReady,
            Reason = status.Reason,
            ModelDigest = model.Digest,
            MaxPositions = (uint)(status.MaxPositions ?? 0),
            Running = (uint)use.Running,
            Waiting = (uint)use.Waiting,
            MaxRunning = (uint)use.MaxRunning,
            KvBlocks = (uint)use.Blocks,
            KvBlocksFree = (uint)use.FreeBlocks,
            ViewVersion = status.ViewVersion,
        };
    }

    /// <summary>Reads the whole request, up to its word to go.</summary>
    async Task<IReadOnlyList<SequenceRequest>> ReadAsync(IAsyncStreamReader<GenerateRequest> messages, CancellationToken cancellation)
    {
        List<List<int>> lists = [];
        List<SequenceRequest> read = [];
        var isOpen = false;   // the last list has more parts
        while (true)
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(SendDeadline);
            if (!await messages.MoveNext(deadline.Token)) throw new InvalidMessageException("the request ends before its word to go");
            switch (messages.Current)
            {
                case { Tokens: { } part }:
                    if (!isOpen) lists.Add([]);
                    if (lists.Count > 2 * MostSequences) throw new InvalidMessageException($"more than {2 * MostSequences} lists of tokens");
                    Field.Count("tokens of a list", lists[^1].Count + part.Tokens.Count, 0, rules.MaxLength);
                    lists[^1].AddRange(part.Tokens);
                    isOpen = !part.Last;
                    break;
                case { Sequence: { } start }:
                    if (read.Count == MostSequences) throw new InvalidMessageException($"more than {MostSequences} sequences");
                    read.Add(SequenceMessages.Read(start, lists));
                    break;
                case { Go: { } go }:
                    if (go.Replica != replica.Name || go.ModelDigest != model.Digest)
                        throw new RpcException(new Status(
                            StatusCode.FailedPrecondition, $"this is replica {replica.Name} of model {model.Digest}, not {go.Replica} of {go.ModelDigest}"));
                    return read.Count > 0 ? read : throw new InvalidMessageException("a request without sequences");
                default:
                    throw new InvalidMessageException("a message that does not belong into a request");
            }
        }
    }

    IReadOnlyList<IAsyncEnumerable<SequenceEvent>> Start(IReadOnlyList<SequenceRequest> asked)
    {
        asked =
        [
            .. asked.Select(request => request.Adapter is { } named && adapters.FindDigest(named.Digest) is { } held
                ? request with { Adapter = SequenceAdapter.Of(held) }
                : request),
        ];
        if (rules.FirstProblem(asked) is { } problem) return All(asked, new SequenceEvent.Failed(problem, Retryable: false));
        if (asked.Any(request => request.Adapter is { } adapter && adapters.FindDigest(adapter.Digest) is null))
            return All(asked, new SequenceEvent.Refused("this replica does not serve the adapter", Refusal.NotReady));
        if (replica.Status is { TakesSequences: false } status) return All(asked, new SequenceEvent.Refused(status.Reason, Refusal.NotReady));
        IReadOnlyList<SequenceRequest> fitting = [.. asked.Select(rules.Fit)];
        return replica.Run(fitting, RoutedPrompt.Of(fitting[0], model.Digest));
    }

    static IReadOnlyList<IAsyncEnumerable<SequenceEvent>> All(IReadOnlyList<SequenceRequest> asked, SequenceEvent only)
        => [.. asked.Select(_ => new[] { only }.ToAsyncEnumerable())];

    static async Task PumpAsync(IAsyncEnumerable<SequenceEvent> stream, int sequence, ChannelWriter<GenerateReply> outbox, CancellationToken cancellation)
    {
        try
        {
            await foreach (var happened in stream.WithCancellation(cancellation)) await outbox.WriteAsync(happened.ToReply(sequence), cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return;   // nobody reads it any more
        }
    }

    static async Task EndAsync(Task[] running, ChannelWriter<GenerateReply> outbox)
    {
        try
        {
            await Task.WhenAll(running);
            outbox.TryComplete();
        }
        catch (Exception bug)
        {
            outbox.TryComplete(bug);   // the call's status says so
        }
    }

    static async Task ListenAsync(IAsyncStreamReader<GenerateRequest> messages, CancellationTokenSource[] leaving, CancellationToken cancellation)
    {
        while (await messages.MoveNext(cancellation))
            if (messages.Current is { Leave: { } leave } && leave.Sequence < leaving.Length) await leaving[leave.Sequence].CancelAsync();
    }
}
