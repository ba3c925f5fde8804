using Grpc.Core;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Sources;

/// <summary>Finds the weights of an order: the worker's own model file, the coordinator's path if this machine has it too, else over the network.</summary>
sealed class ModelSource(LocalModels local, RemoteModels remote, WorkerOptions options)
{
    /// <param name="refused">Paths that were tried for this order and hold something else.</param>
    public async Task<OpenedModel> OpenAsync(
        LoadOrder order, CoordinatorWeights coordinator, IReadOnlySet<string> refused, LoadProgressFeed progress, CancellationToken cancellation)
    {
        foreach (var path in new[] { options.ModelPath, order.ModelPath }.OfType<string>().Distinct().Where(path => !refused.Contains(path)))
            if (await local.TryOpenAsync(path, order.Plan.ModelDigest, coordinator, cancellation) is { } opened) return opened;
        return await remote.OpenAsync(coordinator, progress, cancellation);
    }

    /// <inheritdoc cref="RemoteModels.OpenAdapter"/>
    public OpenedModel OpenAdapter(CoordinatorWeights coordinator, LlamaConfig config, IReadOnlyList<TensorInfo> tensors) =>
        remote.OpenAdapter(coordinator, config, tensors);
}

/// <summary>A model of the right digest that is open. Only its headers were read.</summary>
abstract class OpenedModel : IDisposable
{
    public abstract IModelWeights Weights { get; }

    /// <summary>"local PATH", "cache PATH", "coordinator", "peers" or "hub HOST".</summary>
    public abstract string Source { get; }

    /// <summary>The path in this machine's file system. Null: its parts are in the cache.</summary>
    public abstract string? LocalPath { get; }

    /// <summary>Whether what is read has to be hashed and compared with what the coordinator says.</summary>
    public abstract bool IsCompared { get; }

    /// <summary>It is of use for as long as the shard lives: it keeps entries of the cache in use, or others can have its parts.</summary>
    public abstract bool Lasts { get; }

    /// <summary>Tells the coordinator what others can have from this worker, where they may.</summary>
    public abstract Task OfferAsync(CoordinatorWeights coordinator, CancellationToken cancellation);

    /// <summary>Begins to get parts to where they can be read. Who reads one that is still coming waits for it.</summary>
    /// <param name="loaded">What is in memory already. It is not fetched.</param>
    /// <exception cref="RpcException">They cannot be had. The status says why.</exception>
    public abstract Task<Arrival> ObtainAsync(IReadOnlyList<TensorPart> parts, LoadedParts loaded, LoadProgressFeed progress, CancellationToken cancellation);

    /// <summary>What parts must hash to, as the coordinator says.</summary>
    public abstract Task<IReadOnlyDictionary<TensorPart, string>> HashesAsync(
        IReadOnlyList<TensorPart> parts, IProgress<long> progress, CancellationToken cancellation);

    /// <summary>Takes note that parts hold other bytes than they must.</summary>
    public abstract void Refuse(IReadOnlyList<TensorPart> parts);

    /// <summary>Looks for damage after the weights could not be read. True if what was damaged is gone, and another try may do better.</summary>
    public abstract bool TryMend(CancellationToken cancellation);

    public abstract void Dispose();
}

/// <summary>Parts that are coming.</summary>
/// <param name="All">Completes when all have come. Fails, with an <see cref="RpcException"/> that says why, if they do not.</param>
sealed record Arrival(Task All)
{
    public static Arrival Over { get; } = new(Task.CompletedTask);
}

/// <summary>Models in this machine's file system.</summary>
sealed partial class LocalModels(WorkerOptions options, GivenWeights given, ILogger<LocalModels> logger)
{
    /// <summary>Opens the model at a path if it has the digest that is wanted. Else logs why not, and there may be another source.</summary>
    public async Task<OpenedModel?> TryOpenAsync(string path, string digest, CoordinatorWeights coordinator, CancellationToken cancellation)
    {
        if (!ModelFiles.Exist(path)) return null;
        try
        {
            var (weights, found) = await OpenAsync(path, cancellation);
            var isCompared = !options.TrustDigest && weights.FileOf(weights.Tensors[0]) is not null;
            if (found == digest)
                return new LocalModel(
                    weights, path, coordinator, isCompared, IsGiven(weights, path, coordinator) ? given.AddWhole(digest, weights) : null, given);
            weights.Dispose();
            LogOtherModel(path, found, digest);
        }
        catch (ModelFormatException e)
        {
            LogUnusable(e.Message);
        }
        return null;
    }

    /// <summary>What is rounded, or made up, while it is read takes more of this worker's processors than others may have.</summary>
    static bool IsGiven(IModelWeights weights, string path, CoordinatorWeights coordinator) =>
        coordinator.AreShared && !QuantizedModelPath.Is(path) && weights.FileOf(weights.Tensors[0]) is not null;

    /// <exception cref="ModelFormatException">There is no model at this path that can be read.</exception>
    public async Task<string> DigestAsync(string path, CancellationToken cancellation)
    {
        var (weights, digest) = await OpenAsync(path, cancellation);
        weights.Dispose();
        return digest;
    }

    // Reads from disk for as long as it takes, so not on the caller's thread.
    static Task<(IModelWeights Weights, string Digest)> OpenAsync(string path, CancellationToken cancellation) => Task.Run(() =>
    {
        var weights = ModelFiles.Open(path);
        try
        {
            return (weights, weights.ComputeDigest(cancellation));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }, cancellation);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Path} is another model ({Found}) than the plan's ({Wanted}); looking elsewhere")]
    partial void LogOtherModel(string path, string found, string wanted);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Looking elsewhere for the model: {Problem}")]
    partial void LogUnusable(string problem);

    /// <param name="offer">Closes the model when nobody reads it for others any more. Null: nobody does.</param>
    sealed class LocalModel(
        IModelWeights weights, string path, CoordinatorWeights coordinator, bool isCompared, IDisposable? offer, GivenWeights given) : OpenedModel
    {
        public override IModelWeights Weights => weights;

        public override string Source => $"local {path}";

        public override string LocalPath => path;

        public override bool IsCompared => isCompared;

        public override bool Lasts => offer is not null;

        public override Task OfferAsync(CoordinatorWeights asked, CancellationToken cancellation) =>
            offer is null ? Task.CompletedTask : given.OfferAsync(asked, here: null, cancellation);

        public override Task<Arrival> ObtainAsync(
            IReadOnlyList<TensorPart> parts, LoadedParts loaded, LoadProgressFeed progress, CancellationToken cancellation) => Task.FromResult(Arrival.Over);

        public override Task<IReadOnlyDictionary<TensorPart, string>> HashesAsync(
            IReadOnlyList<TensorPart> parts, IProgress<long> progress, CancellationToken cancellation) =>
            coordinator.HashesAsync(parts, progress, cancellation);

        // The file is the operator's: it stays as it is, and the worker looks elsewhere.
        public override void Refuse(IReadOnlyList<TensorPart> parts) { }

        public override bool TryMend(CancellationToken cancellation) => false;

        public override void Dispose() => (offer ?? weights).Dispose();
    }
}
