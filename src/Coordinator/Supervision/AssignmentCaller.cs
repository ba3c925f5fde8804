using System.Collections;
using System.Collections.Immutable;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Weights;
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
    public sealed record Loaded(int KvBlocks) : LoadOutcome
    {
        /// <summary>What workers still have of earlier views' KV.</summary>
        public ImmutableDictionary<WorkerId, WorkerKeeps> Kept { get; init; } = ImmutableDictionary<WorkerId, WorkerKeeps>.Empty;

        /// <summary>KV that workers got from others.</summary>
        public MovedKv Moved { get; init; }
    }

    public sealed record Failed(PipelineFailure Failure) : LoadOutcome;
}

/// <summary>What all workers of a plan are asked to load.</summary>
/// <param name="ModelPath">Where the coordinator has the model; workers on this machine, or with the same mounts, find it there.</param>
/// <param name="KvBlocks">KV blocks that each worker is to make room for.</param>
/// <param name="StepTimeout">What every worker is to grant the steps of the others.</param>
/// <param name="Epoch">Of the coordinator (see ClusterOwnership).</param>
public sealed record LoadRequest(
    ClusterPlan Plan, string ModelPath, int KvBlocks, int MaxSequenceLength, EngineOptions Engine, TimeSpan StepTimeout, ulong Epoch)
{
    /// <summary>What sequences may name; none by default.</summary>
    public AdapterSet Adapters { get; init; } = AdapterRegistry.Empty.Now;

    /// <summary>The greatest rank of any adapter that there may be while the view lasts; 0: there are none.</summary>
    public int MaxAdapterRank { get; init; }

    /// <summary>Workers give each other the model's weights.</summary>
    public bool SharesWeights { get; init; }

    /// <summary>The greatest vocabulary of any adapter that there may be while the view lasts.</summary>
    public int MaxAdapterVocabulary { get; init; }

    /// <summary>What the workers of this view show each other.</summary>
    readonly PeerKey _viewKey = PeerKey.Create();

    /// <summary>KV that workers are to get from others.</summary>
    internal KvMoves Moves { get; init; } = KvMoves.None;

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
        MaxAdapterRank = (uint)MaxAdapterRank,
        MaxAdapterVocabulary = (uint)MaxAdapterVocabulary,
        Adapters = { Adapters.ToMessages() },
        KvSources = { Moves.SourcesOf(worker.Id) },
        KvBlocks = { Moves.SourcesOf(worker.Id).Any() ? Moves.Blocks.Ids : [] },
        KvBlocksAwaited = Moves.SourcesOf(worker.Id).Any() ? (uint)Moves.Blocks.Awaited : 0,
        KvFetchMilliseconds = (uint)Moves.Time.TotalMilliseconds,
        KvIsFetched = Moves.IsSource(worker.Id),
        WeightsAreShared = SharesWeights,
    };
}

/// <summary>Calls all workers of a plan, at the same time, to load their shards. The first failure ends the loading for all.</summary>
public sealed partial class AssignmentCaller(IPeerConnector peers, ClusterDeadlines deadlines, TimeProvider time, ILogger<AssignmentCaller> logger)
{
    /// <param name="workers">In stage order.</param>
    /// <param name="onProgress">Called for any worker at any time, also for several at once.</param>
    public async Task<LoadOutcome> LoadAsync(
        LoadRequest request, IReadOnlyList<StageWorker> workers, Action<ShardProgress> onProgress, CancellationToken cancellation)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var loads = workers.Select(worker => AssignAsync(worker, request.ToMessage(worker), onProgress, over.Token)).ToList();
        LoadOutcome outcome = new LoadOutcome.Loaded(request.KvBlocks);
        while (loads.Count > 0)
        {
            var load = await Task.WhenAny(loads);
            loads.Remove(load);
            if (outcome is not LoadOutcome.Loaded soFar) continue;   // the others only end
            outcome = await load is LoadOutcome.Loaded loaded
                ? new LoadOutcome.Loaded(Math.Min(soFar.KvBlocks, loaded.KvBlocks))
                {
                    Kept = soFar.Kept.AddRange(loaded.Kept),
                    Moved = soFar.Moved + loaded.Moved,
                }
                : await load;
            if (outcome is LoadOutcome.Failed) over.Cancel();
        }
        cancellation.ThrowIfCancellationRequested();
        return outcome;
    }

    Task<LoadOutcome> AssignAsync(StageWorker worker, AssignRequest order, Action<ShardProgress> onProgress, CancellationToken cancellation) => FollowAsync(
        worker, (client, headers, ends) => client.Assign(order, headers, cancellationToken: ends), onProgress,
        ready => Check(worker, order, ready), cancellation);

    /// <summary>Calls a worker that no view has to load its shard of a plan, for the case that the plan comes to be in force.</summary>
    /// <returns>Null when it has; else why not, in one line.</returns>
    public async Task<string?> PrepareAsync(LoadRequest request, StageWorker worker, CancellationToken cancellation)
    {
        var order = request.ToMessage(worker);
        var outcome = await FollowAsync(
            worker, (client, headers, ends) => client.Prepare(order, headers, cancellationToken: ends), _ => { },
            _ => new LoadOutcome.Loaded(0), cancellation);
        cancellation.ThrowIfCancellationRequested();
        return (outcome as LoadOutcome.Failed)?.Failure.Message;
    }

    /// <summary>Calls workers of a view that runs, at the same time, to hold these adapters and no others.</summary>
    /// <returns>The first failure; null: all of them have.</returns>
    public async Task<PipelineFailure?> SetAdaptersAsync(
        ulong viewVersion, ulong epoch, AdapterSet adapters, IReadOnlyList<StageWorker> workers, CancellationToken cancellation)
    {
        var request = new SetAdaptersRequest { ViewVersion = viewVersion, Epoch = epoch, Change = adapters.Version, Adapters = { adapters.ToMessages() } };
        var outcomes = await Task.WhenAll(workers.Select(worker => FollowAsync(
            worker, (client, headers, ends) => client.SetAdapters(request, headers, cancellationToken: ends), _ => { },
            _ => new LoadOutcome.Loaded(0), cancellation)));
        cancellation.ThrowIfCancellationRequested();
        return outcomes.OfType<LoadOutcome.Failed>().FirstOrDefault()?.Failure;
    }

    /// <param name="begin">The call.</param>
    /// <param name="check">What the worker's last word comes to.</param>
    async Task<LoadOutcome> FollowAsync(
        StageWorker worker, Func<Assignments.AssignmentsClient, Metadata, CancellationToken, AsyncServerStreamingCall<LoadProgress>> begin,
        Action<ShardProgress> onProgress, Func<LoadProgress, LoadOutcome> check, CancellationToken cancellation)
    {
        using var silence = new CancellationTokenSource(deadlines.LoadSilence, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellation);
        using var connection = peers.Connect(worker.Assignment.Address);
        try
        {
            using var call = begin(new Assignments.AssignmentsClient(connection.Calls), worker.Key.ToHeaders(), ends.Token);
            var (phase, meter) = (Phase.Unspecified, new LoadingMeter(time));
            while (await call.ResponseStream.MoveNext(ends.Token))
            {
                silence.CancelAfter(deadlines.LoadSilence);
                var progress = call.ResponseStream.Current;
                if (progress.Phase != phase && progress.Phase != Phase.Opening) LogPhase(worker, progress.Phase, progress.Source, progress.BytesTotal);
                phase = progress.Phase;
                meter.Update(progress);
                var shard = ProgressOf(worker, progress) with { BytesPerSecond = meter.Rate };
                if (meter.HasNews) LogProgress(worker, phase, shard.BytesDone, shard.BytesTotal, shard.BytesPerSecond / 1e6, shard.SecondsLeft ?? 0);
                onProgress(shard);
                if (phase == Phase.Ready) return check(progress);
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
        if (ready.KvBlockCount is 0 or > int.MaxValue) return new LoadOutcome.Failed(worker.Failed($"it has room for {ready.KvBlockCount} KV blocks"));
        var loaded = new LoadOutcome.Loaded((int)ready.KvBlockCount);
        if (ready.Fetched is { } fetched) loaded = loaded with { Moved = new MovedKv(ToLong(fetched.Blocks), ToLong(fetched.Missing), ToLong(fetched.Bytes)) };
        return ready.Kept is { } kept && KeptOf(worker, kept) is { } keeps ? loaded with { Kept = loaded.Kept.Add(worker.Id, keeps) } : loaded;
    }

    /// <summary>Null if it is not about layers of the worker's shard: then nothing is used of it.</summary>
    static WorkerKeeps? KeptOf(StageWorker worker, KeptKv kept)
    {
        var shard = worker.Assignment.Shard.Layers;
        if (kept.Layers.Count == 0) return null;
        var (first, end) = (kept.Layers.Min(layers => layers.FirstLayer), kept.Layers[0].FirstLayer + (ulong)kept.Layers[0].LayerCount);
        if (first < shard.First || first >= end || end > (ulong)shard.End
            || kept.Layers.Any(layers => layers.FirstLayer + (ulong)layers.LayerCount != end))
            return null;
        Dictionary<ulong, ulong> steps = [];
        foreach (var view in kept.Views) steps[view.ViewVersion] = view.LastStep;
        var from = new int[8 * kept.Layers.Max(layers => layers.Whole.Length)];
        Array.Fill(from, (int)end);
        foreach (var layers in kept.Layers)
            foreach (var (block, isWhole) in new BitArray(layers.Whole.ToByteArray()).Cast<bool>().Index())
                if (isWhole) from[block] = Math.Min(from[block], (int)layers.FirstLayer);
        return new WorkerKeeps(new LayerRange((int)first, (int)(end - first)), steps, from)
        {
            Journal = [.. new BitArray(kept.Journal.ToByteArray()).Cast<bool>()],
        };
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

    [LoggerMessage(Level = LogLevel.Information, Message = "{Worker}: {Phase}, {Done} of {Total} bytes, {Rate:0.#} MB/s, {Left:0} s left")]
    partial void LogProgress(StageWorker worker, Phase phase, long done, long total, double rate, double left);
}
