using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Execution;
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
    ModelSource source, IModelLoader model, PeerChannels channels, RankCaller caller, WorkerOptions options, WorkerMemory memory,
    ILogger<ShardLoader> logger)
{
    public async Task<HeldModel> LoadAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        progress.Begin(Phase.Opening, 0);
        using var opened = await source.OpenAsync(order, progress, cancellation);
        CheckLayers(opened, order);
        CheckStepRows(opened.Weights.Config, order);
        var slice = order.SliceOf(opened.Weights.Config, opened.Weights.Tensors);
        progress.Begin(Phase.Loading, model.BytesToLoad(opened.Weights, order.Shape, slice), opened.Source);
        // On a thread of its own: packing takes minutes, and the pool's threads serve the network.
        var weights = await Task.Factory.StartNew(
            () => model.Load(opened.Weights, order.Shape, slice, progress, cancellation), cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return new HeldModel(weights, order.Assignment.Shard.Slice, order.Plan.ModelDigest, opened.Source);
    }

    /// <summary>Allocates KV cache and buffers, and starts the stage's thread.</summary>
    /// <exception cref="RpcException">RESOURCE_EXHAUSTED: they do not fit.</exception>
    public HeldShard Open(LoadOrder order, HeldModel held)
    {
        var shape = Activations(order, held.Weights.Config.HiddenSize, order.Assignment.Stage);
        var stageOptions = new StageOptions
        {
            KvBlockCount = 1,
            KvType = order.KvType,
            MaxStepRows = order.MaxStepRows,
            MaxSequenceLength = order.MaxSequenceLength,
        };
        var blockBytes = held.Weights.BytesPerBlock(stageOptions);
        var taken = held.Weights.Bytes + held.Weights.BufferBytes(stageOptions) + LinkBytes(order, shape);
        var (blocks, problem) = ShardLimits.KvBlocks(memory.Bytes, taken, blockBytes, order.KvBlockCount, order.MaxSequenceLength);
        if (problem is not null) throw new RpcException(new Status(StatusCode.ResourceExhausted, problem));

        var group = order.Assignment.Shard.Slice.IsWhole ? null : new RankGroup(Ranks(order, held), order.Plan.Ranks(order.Assignment.Stage), caller);
        var stage = held.Weights.CreateStage(stageOptions with { KvBlockCount = blocks }, group?.Exchange);
        var inbox = order.Shape.Embeds ? null : new ActivationInbox(Activations(order, held.Weights.Config.HiddenSize, order.Assignment.Stage - 1));
        var timeout = order.StepTimeout > options.PeerTimeout ? order.StepTimeout : options.PeerTimeout;
        var next = order.Next.Select(peer => new ActivationSender(channels, peer.Address, shape, order.ViewKey, timeout));
        var executor = StageExecutor.Start(order.Plan.ViewVersion, stage, new StageConnections(inbox, group, [.. next]), timeout, logger);
        var resident = taken + blocks * blockBytes;
        LogLoaded(order.Plan.ViewVersion, order.Assignment.Stage, order.Assignment.Shard.ToString(), held.Weights.Bytes, blocks, resident, model.InstructionSet, model.Threads, held.Source);
        return new HeldShard(order, held, executor, blocks, blockBytes, resident);
    }

    static ActivationShape Activations(LoadOrder order, int hiddenSize, int fromStage) =>
        new(order.Plan.ViewVersion, fromStage, hiddenSize, order.ActivationType, order.MaxStepRows, order.Plan.StageCount + 1);

    static GroupShape Ranks(LoadOrder order, HeldModel held) => new(
        order.Plan.ViewVersion, order.Plan.ModelDigest, order.Assignment.Stage, order.Assignment.Shard, held.Weights.Config.HiddenSize, order.MaxStepRows, order.SumType)
    {
        Key = order.ViewKey,
    };

    static long LinkBytes(LoadOrder order, ActivationShape shape)
    {
        var step = (long)order.MaxStepRows * shape.RowBytes;
        var ranks = RankGroup.Bytes(order.Assignment.Shard.Slice.RankCount, order.MaxStepRows, shape.HiddenSize);
        return ranks + (order.Shape.Embeds ? 0 : shape.MaxSteps * step) + order.Next.Count() * ActivationSender.Buffers * step;
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
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"max_step_rows is {order.MaxStepRows}; with a model as wide as this one it is at most {most}"));
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "View {ViewVersion}, stage {Stage}: {Shard} ready, {WeightBytes} bytes of weights, {KvBlocks} KV blocks, {ResidentBytes} bytes in all, kernels {InstructionSet}, {Threads} threads, from {Source}")]
    partial void LogLoaded(
        ulong viewVersion, int stage, string shard, long weightBytes, int kvBlocks, long residentBytes, string instructionSet, int threads, string source);
}
