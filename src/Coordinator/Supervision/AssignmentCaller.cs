using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;
using static LlamaCluster.Protos.LoadProgress.Types;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>Whether the workers of a plan have loaded.</summary>
public abstract record LoadOutcome
{
    LoadOutcome() { }

    /// <param name="KvBlocks">KV blocks that every worker has room for.</param>
    public sealed record Loaded(int KvBlocks) : LoadOutcome;

    public sealed record Failed(PipelineFailure Failure) : LoadOutcome;
}

/// <summary>What all workers of a plan are asked to load.</summary>
/// <param name="ModelPath">Where the coordinator has the model; workers on this machine, or with the same mounts, find it there.</param>
/// <param name="KvBlocks">KV blocks that each worker is to make room for.</param>
/// <param name="StepTimeout">What every worker is to grant the steps of the others.</param>
/// <param name="Epoch">Of the coordinator (see ClusterOwnership).</param>
public sealed record LoadRequest(ClusterPlan Plan, string ModelPath, int KvBlocks, int MaxSequenceLength, EngineOptions Engine, TimeSpan StepTimeout, ulong Epoch)
{
    /// <summary>What the workers of this view show each other.</summary>
    readonly PeerKey _viewKey = PeerKey.Create();

    public AssignRequest ToMessage(StageWorker worker) => new()
    {
        Plan = Plan.ToMessage(),
        WorkerId = worker.Id.Value,
        ModelPath = ModelPath,
        KvBlockCount = (uint)KvBlocks,
        KvType = Engine.KvType,
        MaxStepRows = (uint)Engine.MaxStepRows,
        MaxSequenceLength = (uint)MaxSequenceLength,
        ActivationType = Engine.ActivationType,
        SumType = Engine.SumType,
        StepTimeoutMilliseconds = (uint)StepTimeout.TotalMilliseconds,
        Epoch = Epoch,
        ViewKey = _viewKey.ToMessage(),
    };
}

/// <summary>Calls all workers of a plan, at the same time, to load their shards. The first failure ends the loading for all.</summary>
public sealed partial class AssignmentCaller(PeerChannels channels, ClusterDeadlines deadlines, TimeProvider time, ILogger<AssignmentCaller> logger)
{
    /// <param name="workers">In stage order.</param>
    /// <param name="onProgress">Called for any worker at any time, also for several at once.</param>
    public async Task<LoadOutcome> LoadAsync(
        LoadRequest request, IReadOnlyList<StageWorker> workers, Action<ShardProgress> onProgress, CancellationToken cancellation)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var loads = workers.Select(worker => FollowAsync(worker, request.ToMessage(worker), prepares: false, onProgress, over.Token)).ToList();
        LoadOutcome outcome = new LoadOutcome.Loaded(request.KvBlocks);
        await foreach (var load in Task.WhenEach(loads))
        {
            if (outcome is not LoadOutcome.Loaded soFar) continue;   // the others only end
            outcome = await load is LoadOutcome.Loaded loaded ? loaded with { KvBlocks = Math.Min(soFar.KvBlocks, loaded.KvBlocks) } : await load;
            if (outcome is LoadOutcome.Failed) await over.CancelAsync();
        }
        cancellation.ThrowIfCancellationRequested();
        return outcome;
    }

    /// <summary>Calls a worker that no view has to load its shard of a plan, for the case that the plan comes to be in force.</summary>
    /// <returns>Null when it has; else why not, in one line.</returns>
    public async Task<string?> PrepareAsync(LoadRequest request, StageWorker worker, CancellationToken cancellation)
    {
        var outcome = await FollowAsync(worker, request.ToMessage(worker), prepares: true, _ => { }, cancellation);
        cancellation.ThrowIfCancellationRequested();
        return (outcome as LoadOutcome.Failed)?.Failure.Message;
    }

    /// <param name="prepares">The worker loads the weights only.</param>
    async Task<LoadOutcome> FollowAsync(
        StageWorker worker, AssignRequest request, bool prepares, Action<ShardProgress> onProgress, CancellationToken cancellation)
    {
        using var silence = new CancellationTokenSource(deadlines.LoadSilence, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellation);
        using var channel = channels.Open(worker.Assignment.Address);
        try
        {
            var client = new Assignments.AssignmentsClient(channel);
            using var call = prepares
                ? client.Prepare(request, worker.Key.ToHeaders(), cancellationToken: ends.Token)
                : client.Assign(request, worker.Key.ToHeaders(), cancellationToken: ends.Token);
            var phase = Phase.Unspecified;
            while (await call.ResponseStream.MoveNext(ends.Token))
            {
                silence.CancelAfter(deadlines.LoadSilence);
                var progress = call.ResponseStream.Current;
                if (progress.Phase != phase && progress.Phase != Phase.Opening) LogPhase(worker, progress.Phase, progress.Source, progress.BytesTotal);
                phase = progress.Phase;
                onProgress(ProgressOf(worker, progress));
                if (phase == Phase.Ready && prepares) return new LoadOutcome.Loaded(0);
                if (phase == Phase.Ready) return Check(worker, request, progress);
            }
            return new LoadOutcome.Failed(worker.Failed("it stopped loading without saying why"));
        }
        catch (RpcException e)
        {
            return new LoadOutcome.Failed(e.ToFailure(worker));
        }
        catch (OperationCanceledException)
        {
            return new LoadOutcome.Failed(
                cancellation.IsCancellationRequested ? worker.Failed("loading was given up")
                : silence.IsCancellationRequested ? worker.Lost($"no news of its loading for {deadlines.LoadSilence.TotalSeconds:0.###} s")
                : worker.Lost("its connection broke"));
        }
    }

    static LoadOutcome Check(StageWorker worker, AssignRequest request, LoadProgress ready)
    {
        if (ready.ViewVersion != request.Plan.ViewVersion)
            return new LoadOutcome.Failed(worker.Failed($"it loaded view {ready.ViewVersion}, not {request.Plan.ViewVersion}"));
        if (ready.ModelDigest != request.Plan.ModelDigest)
            return new LoadOutcome.Failed(worker.Failed($"it loaded another model: digest '{ready.ModelDigest}', not {request.Plan.ModelDigest}"));
        return ready.KvBlockCount is 0 or > int.MaxValue
            ? new LoadOutcome.Failed(worker.Failed($"it has room for {ready.KvBlockCount} KV blocks"))
            : new LoadOutcome.Loaded((int)ready.KvBlockCount);
    }

    static ShardProgress ProgressOf(StageWorker worker, LoadProgress progress) => new(
        worker.Id, worker.Name, worker.Assignment.Address, worker.Stage, worker.Assignment.Shard,
        progress.Phase, ToLong(progress.BytesDone), ToLong(progress.BytesTotal), progress.Source)
    {
        KvBlockBytes = ToLong(progress.KvBlockBytes),
    };

    static long ToLong(ulong bytes) => (long)Math.Min(bytes, long.MaxValue);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Worker}: {Phase}, weights from {Source}, {Bytes} bytes")]
    partial void LogPhase(StageWorker worker, Phase phase, string source, ulong bytes);
}
