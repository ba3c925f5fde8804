using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.KvTransfer;
using LlamaCluster.Worker.Measuring;
using LlamaCluster.Worker.Models;
using LlamaCluster.Worker.Orders;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Ranks;
using LlamaCluster.Worker.Sources;
using Microsoft.Extensions.Logging;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;

namespace LlamaCluster.Worker.Loading;

/// <summary>Carries out an order: finds the weights, packs them, and starts the stage.</summary>
sealed partial class ShardLoader(
    ModelSource source, IModelLoader model, PeerChannels channels, ClusterOwner owner, RankCaller caller, StageCaller stageCaller,
    WorkerOptions options, WorkerMemory memory, BlockDisk disk, ActivationJournal journal, ILogger<ShardLoader> logger, WorkerMetrics? metrics = null)
{
    /// <summary>How often a shard is loaded again because entries of the cache turned out to be damaged.</summary>
    const int Mendings = 3;

    /// <summary>For what sequences name as their adapters.</summary>
    public AdapterLoader Adapters { get; } = new(source, channels, owner, options, memory, logger);

    /// <summary>
    /// Reads what is missing of a shard, in parts that hash to what the coordinator says. A file that holds other bytes is given up for the next source; an
    /// entry of the cache that does is fetched again.
    /// </summary>
    /// <param name="parts">What is in memory already. What is read is added, also if the loading fails.</param>
    /// <param name="intake">Of KV; started as soon as it is known how much there is room for. Null: only weights are loaded.</param>
    /// <exception cref="RpcException">It cannot be loaded. The status says why.</exception>
    public async Task<HeldModel> LoadAsync(LoadOrder order, HeldParts parts, KvIntake? intake, LoadProgressFeed progress, CancellationToken cancellation)
    {
        using var coordinator = new CoordinatorWeights(channels, owner, options, order);
        var (refused, problems) = (new HashSet<string>(), new List<string>());
        while (true)
        {
            OpenedModel? opened = null;
            HeldModel? held = null;
            try
            {
                progress.Begin(Phase.Opening, 0);
                opened = await source.OpenAsync(order, coordinator, refused, progress, cancellation);
                (held, var problem) = await TryLoadAsync(opened, order, parts.Loaded, intake, progress, cancellation);
                for (var mendings = 0; problem is not null && opened.LocalPath is null && mendings < Mendings; mendings++)
                    (held, problem) = await TryLoadAsync(opened, order, parts.Loaded, intake, progress, cancellation);
                if (held is not null) await opened.OfferAsync(coordinator, cancellation);
                if (held is not null) return held;
                LogRefused(problem!);
                problems.Add(problem!);
            }
            catch (RpcException e) when (problems.Count > 0)
            {
                throw new RpcException(new Status(e.StatusCode, string.Join("; ", [.. problems, e.Status.Detail])));
            }
            finally
            {
                if (held?.Entries is null) opened?.Dispose();
            }
            if (opened.LocalPath is not { } path) throw new RpcException(new Status(StatusCode.DataLoss, string.Join("; ", problems)));
            refused.Add(path);
        }
    }

    /// <summary>
    /// Whether the weights in memory are still those that the coordinator serves: it may be another process by now, with another file. If not, the
    /// shard can only be taken apart.
    /// </summary>
    public async Task<bool> IsRightAsync(LoadOrder order, HeldModel held, HeldParts parts, LoadProgressFeed progress, CancellationToken cancellation)
    {
        TensorPart[] hashed = [.. held.Parts.Where(part => parts.Loaded.Find(part) is { Hash: not null })];
        using var coordinator = new CoordinatorWeights(channels, owner, options, order);
        if (held.Entries is { } opened) await opened.OfferAsync(coordinator, cancellation);   // it may be another coordinator than the last
        if (hashed.Length == 0) return true;
        progress.Begin(Phase.Verifying, hashed.Sum(part => part.Bytes), held.Source);
        var wrong = WrongParts(hashed, parts.Loaded, await coordinator.HashesAsync(hashed, progress, cancellation));
        if (wrong.Length == 0) return true;
        LogOutdated(wrong.Length, wrong[0].Tensor.Name);
        parts.Loaded.Remove(wrong);
        return false;
    }

    /// <summary>Allocates KV cache and buffers, and starts the stage's thread.</summary>
    /// <param name="kept">KV of layers that the shard has; it goes on with what is there. Null: none. The caller disposes of it.</param>
    /// <param name="adapters">What sequences may name. Null: nothing. The caller keeps them for as long as the shard lives.</param>
    /// <exception cref="RpcException">RESOURCE_EXHAUSTED: they do not fit.</exception>
    public HeldShard Open(LoadOrder order, HeldModel held, KeptKv? kept, ShardAdapters? adapters = null)
    {
        var shape = Activations(order, held.Weights.Config.HiddenSize, order.Assignment.Stage);
        var stageOptions = OptionsOf(order);
        var blockBytes = held.Weights.BytesPerBlock(stageOptions);
        var taken = held.Weights.Bytes + held.Weights.BufferBytes(stageOptions) + LinkBytes(order, shape) + DiskBytes(blockBytes) + JournalBytes(order, shape)
            + AdapterLoader.BytesOf(order, held.Weights.Config, held.Ranges);
        var (blocks, problem) = ShardLimits.KvBlocks(memory.Bytes, taken, blockBytes, order.KvBlockCount, order.MaxSequenceLength);
        if (problem is not null) throw new RpcException(new Status(StatusCode.ResourceExhausted, problem));

        var group = order.Assignment.Shard.Slice.IsWhole ? null : new RankGroup(Ranks(order, held), order.Plan.Ranks(order.Assignment.Stage), caller);
        var stage = held.Weights.CreateStage(stageOptions with { KvBlockCount = blocks, Kept = kept?.Blocks, Adapters = adapters }, group?.Exchange);
        var before = stage.TakenOver is null ? null : kept?.Views;
        var inbox = order.Shape.Embeds ? null : new ActivationInbox(Activations(order, held.Weights.Config.HiddenSize, order.Assignment.Stage - 1));
        var timeout = order.StepTimeout > options.PeerTimeout ? order.StepTimeout : options.PeerTimeout;
        var next = order.Next.Select(peer => new ActivationSender(channels, peer.Address, shape, order.ViewKey, timeout, stageCaller));
        var connections = new StageConnections(inbox, group, [.. next]) { Stage = order.Assignment.Stage };
        var keeps = stage.TakenOver is { } states ? before?.ToMessage(states) : null;
        var own = journal.IsOn && order.Next.Any() ? journal : null;
        own?.Begin(order.Shape, shape.HiddenSize, blocks, order.MaxStepRows, before);
        if (own is not null && keeps is not null) keeps.Journal = UnsafeByteOperations.UnsafeWrap(own.WholeOf(stage.TakenOver!));
        var executor = StageExecutor.Start(
            order.Plan.ViewVersion, stage, connections, timeout, logger, MoverOf(order, held.Weights.Config, stage), metrics, before, own);
        var resident = taken + blocks * blockBytes;
        LogLoaded(
            order.Plan.ViewVersion, order.Assignment.Stage, order.Assignment.Shard.ToString(), held.Weights.Bytes,
            blocks, resident, model.InstructionSet, model.Threads, held.Source);
        return new HeldShard(order, held, executor, blocks, blockBytes, resident) { Kept = keeps };
    }

    /// <summary>Null where no blocks are kept on disk, or what is there cannot be used: the shard works without.</summary>
    BlockMover? MoverOf(LoadOrder order, LlamaConfig config, IStage stage)
    {
        if (!disk.IsOn || stage is not IKvBlocks blocks) return null;
        try
        {
            return new BlockMover(order.Plan.ViewVersion, blocks, disk.StoreOf(order, config.Experts is not null, blocks.BlockBytes), disk, logger);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNoDisk(e.Message);
            return null;
        }
    }

    long JournalBytes(LoadOrder order, ActivationShape shape) =>
        journal.IsOn && order.Next.Any() ? ActivationJournal.BufferBytes((long)order.MaxStepRows * shape.HiddenSize * sizeof(float)) : 0;

    long DiskBytes(long blockBytes) => disk.IsOn ? BlockMover.BufferBytes(blockBytes) : 0;

    /// <returns>The weights. Or, in one line, what is wrong with the weights; what was wrong with a cache is mended then, and with a file is not.</returns>
    async Task<(HeldModel? Model, string? Problem)> TryLoadAsync(
        OpenedModel opened, LoadOrder order, LoadedParts loaded, KvIntake? intake, LoadProgressFeed progress, CancellationToken cancellation)
    {
        var config = opened.Weights.Config;
        CheckLayers(opened, order);
        CheckStepRows(config, order);
        var slice = order.SliceOf(config, opened.Weights.Tensors);
        var (blocks, spare) = CheckMemory(opened.Weights, order, slice);
        intake?.Start(layer => StageMemory.KvLayoutOf(config, slice, layer, order.KvType), blocks, spare);
        var parts = model.PartsOf(opened.Weights, order.Shape, slice);
        using var given = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var (reading, verifying) = (new LaterPhase(progress, Phase.Loading), new LaterPhase(progress, Phase.Verifying));
        var arrival = await opened.ObtainAsync(parts, loaded, progress, given.Token);
        var hashes = opened.IsCompared ? opened.HashesAsync(parts, verifying, given.Token) : null;   // while the weights come and are read
        try
        {
            var bytes = parts.Sum(part => part.Bytes);
            // On a thread of its own: packing takes minutes, and the pool's threads serve the network.
            var load = Task.Factory.StartNew(() => model.Load(opened.Weights, order.Shape, slice, loaded, opened.IsCompared, reading, given.Token),
                given.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            var weights = await CompleteAsync(load, arrival, given, () => reading.Begin(bytes, opened.Source));
            if (hashes is not null)
            {
                verifying.Begin(bytes);
                if (await ProblemAsync(opened, parts, loaded, hashes, weights) is { } problem) return (null, problem);
            }
            var entries = opened.Lasts ? opened : null;
            return (new HeldModel(weights, order.Assignment.Shard.Slice, slice, order.Plan.ModelDigest, opened.Source, parts, entries), null);
        }
        catch (ModelFormatException e)
        {
            // The numbers in it are impossible. Bytes that the cache lost are fetched again; a file's are not read again.
            if (opened.LocalPath is null && !await Task.Run(() => opened.TryMend(cancellation), cancellation)) throw;
            return (null, e.Message);
        }
        finally
        {
            await given.CancelAsync();
            if (hashes is not null) await ((Task)hashes).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Waits for parts to come and for what is read of them. If either fails, the other is ended.</summary>
    /// <param name="allCame">Called when only reading is left.</param>
    static async Task<IShardModel> CompleteAsync(Task<IShardModel> load, Arrival arrival, CancellationTokenSource ends, Action allCame)
    {
        var first = arrival.All.IsCompleted ? arrival.All : await Task.WhenAny(load, arrival.All);
        if (!first.IsCompletedSuccessfully) await ends.CancelAsync();
        await arrival.All.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (arrival.All.IsCompletedSuccessfully) allCame();
        await ((Task)load).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!arrival.All.IsFaulted) return await load;
        if (load.IsCompletedSuccessfully) load.Result.Dispose();
        await arrival.All;
        return await load;
    }

    /// <summary>Compares what was read with what it must hash to. Parts that are wrong are freed, and <paramref name="weights"/> with them.</summary>
    static async Task<string?> ProblemAsync(
        OpenedModel opened, IReadOnlyList<TensorPart> parts, LoadedParts loaded, Task<IReadOnlyDictionary<TensorPart, string>> hashes, IShardModel weights)
    {
        TensorPart[] wrong;
        try
        {
            wrong = WrongParts(parts, loaded, await hashes);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
        if (wrong.Length == 0) return null;
        var first = wrong[0].Tensor;
        var file = opened.Weights.FileOf(first);
        weights.Dispose();
        loaded.Remove(wrong);
        opened.Refuse(wrong);
        var tensors = wrong.Length > 1 ? $"tensor {first.Name} and {wrong.Length - 1} others hold" : $"tensor {first.Name} holds";
        return $"{file}: {tensors} other bytes than the coordinator's model, although both have the same digest: "
            + "it is another tuning of the model, or damaged; put the coordinator's file there, or start the worker without it";
    }

    static TensorPart[] WrongParts(IReadOnlyList<TensorPart> parts, LoadedParts loaded, IReadOnlyDictionary<TensorPart, string> hashes) =>
        [.. parts.Where(part => hashes.TryGetValue(part, out var right) && loaded.Find(part) is { Hash: { } found } && found != right)];

    /// <summary>Refuses what will not fit before any of it is fetched or read.</summary>
    /// <returns>How many KV blocks will, and how many bytes are left then.</returns>
    (int Blocks, long Spare) CheckMemory(IModelWeights weights, LoadOrder order, StageSlice slice)
    {
        var needed = model.MemoryOf(weights, order.Shape, slice, OptionsOf(order));
        var shape = Activations(order, weights.Config.HiddenSize, order.Assignment.Stage);
        var taken = needed.Weights + needed.Buffers + LinkBytes(order, shape) + DiskBytes(needed.KvBlock) + JournalBytes(order, shape)
            + AdapterLoader.BytesOf(order, weights.Config, slice);
        var (blocks, problem) = ShardLimits.KvBlocks(memory.Bytes, taken, needed.KvBlock, order.KvBlockCount, order.MaxSequenceLength);
        if (problem is not null) throw new RpcException(new Status(StatusCode.ResourceExhausted, problem));
        return (blocks, memory.Bytes - taken - blocks * needed.KvBlock);
    }

    /// <summary>Of a stage with one block of KV.</summary>
    internal static StageOptions OptionsOf(LoadOrder order) =>
        new() { KvBlockCount = 1, KvType = order.KvType, MaxStepRows = order.MaxStepRows, MaxSequenceLength = order.MaxSequenceLength };

    static ActivationShape Activations(LoadOrder order, int hiddenSize, int fromStage) =>
        new(order.Plan.ViewVersion, fromStage, hiddenSize, order.ActivationType, order.MaxStepRows, order.Plan.StageCount + 1);

    static GroupShape Ranks(LoadOrder order, HeldModel held) => new(
        order.Plan.ViewVersion, order.Plan.ModelDigest, order.Assignment.Stage, order.Assignment.Shard,
        held.Weights.Config.HiddenSize, order.MaxStepRows, order.SumType)
    {
        Key = order.ViewKey,
    };

    static long LinkBytes(LoadOrder order, ActivationShape shape)
    {
        var step = (long)order.MaxStepRows * shape.RowBytes;
        var ranks = RankGroup.Bytes(order.Assignment.Shard.Slice.RankCount, order.MaxStepRows, shape.HiddenSize);
        return ranks + (order.Shape.Embeds ? 0 : shape.MaxSteps * step + IPeerLink.BufferBytes)
            + order.Next.Count() * (ActivationSender.Buffers * step + IPeerLink.BufferBytes);
    }

    static void CheckLayers(OpenedModel opened, LoadOrder order)
    {
        var layers = opened.Weights.Config.LayerCount;
        if (layers != order.Plan.LayerCount)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"the model has {layers} layers, the plan {order.Plan.LayerCount}"));
    }

    static void CheckStepRows(LlamaConfig config, LoadOrder order)
    {
        var most = ShardLimits.StepRows(config, order.ActivationType);
        if (order.MaxStepRows > most)
            throw new RpcException(new Status(
                StatusCode.FailedPrecondition, $"max_step_rows is {order.MaxStepRows}; with a model as wide as this one it is at most {most}"));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "No KV blocks are kept on disk for this shard: {Problem}")]
    partial void LogNoDisk(string problem);

    [LoggerMessage(Level = LogLevel.Error, Message = "Weights are refused: {Problem}")]
    partial void LogRefused(string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "The coordinator's model is another one by now: {Count} parts in memory have other bytes, {Tensor} first; loading anew")]
    partial void LogOutdated(int count, string tensor);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "View {ViewVersion}, stage {Stage}: {Shard} ready, {WeightBytes} bytes of weights, {KvBlocks} KV blocks, "
        + "{ResidentBytes} bytes in all, kernels {InstructionSet}, {Threads} threads, from {Source}")]
    partial void LogLoaded(
        ulong viewVersion, int stage, string shard, long weightBytes, int kvBlocks, long residentBytes, string instructionSet, int threads, string source);
}
