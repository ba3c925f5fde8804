using Grpc.Core;
using LlamaCluster.Cluster.Hub;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Worker.Measuring;
using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// Opens models that this machine has no file of. It asks the coordinator what the model is, and fetches exactly the parts of tensors that the shard
/// needs into the cache. They stay there for the next time: a part that is there, with the hash that the coordinator says, is not fetched again. Where the
/// coordinator says so, parts come from a hub, or from other workers. Whatever these do not have, or give wrong, comes from the coordinator.
/// </summary>
sealed partial class RemoteModels(
    WeightsCache cache, GivenWeights given, PeerChannels channels, WorkerOptions options,
    TimeProvider time, WorkerMetrics metrics, ILogger<RemoteModels> logger)
{
    /// <summary>Calls before it gives up. Each goes on after the last tensor that is whole.</summary>
    const int Attempts = 3;

    WeightsCache Cache => cache;

    GivenWeights Given => given;

    WorkerMetrics Metrics => metrics;

    /// <exception cref="RpcException">The coordinator does not describe the model. The status says why.</exception>
    public async Task<OpenedModel> OpenAsync(CoordinatorWeights coordinator, LoadProgressFeed progress, CancellationToken cancellation)
    {
        var described = await coordinator.DescribeAsync(cancellation);
        var weights = new CachedWeights(described.Name, described.Config, coordinator.Digest, described.Tensors);
        var model = new RemoteModel(this, coordinator, weights, HubOf(described, coordinator.Digest));
        try
        {
            if (described.RopeFactors is { } factors) await model.CompleteAsync(TensorPart.Whole(factors), progress, cancellation);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>An adapter, which the order describes: nothing is asked before its parts are.</summary>
    /// <param name="coordinator">Asked for the adapter.</param>
    /// <param name="config">Of the model that it is for.</param>
    public OpenedModel OpenAdapter(CoordinatorWeights coordinator, LlamaConfig config, IReadOnlyList<TensorInfo> tensors) =>
        new RemoteModel(this, coordinator, new CachedWeights("an adapter", config, coordinator.Digest, tensors), hub: null);

    /// <summary>This worker's own hub, with its token, goes before the coordinator's, which is shown none.</summary>
    /// <returns>Null: all is fetched from the coordinator.</returns>
    HubWeights? HubOf(DescribedModel described, string digest)
    {
        if (described.Hub is not { } hub) return null;
        if ((options.Hub ?? (hub.Endpoint is { } endpoint ? new HubAccess(endpoint, Token: null) : null)) is { } access)
            return new HubWeights(new HubClient(access, HubWeights.Manners, time), hub, cache, digest);
        LogNoHub(hub.Repository);
        return null;
    }

    PeerWeights PeersFor(CoordinatorWeights coordinator) => new(coordinator, cache, channels, options.PeerTimeout, logger);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "Fetching all weights from the coordinator: it says that {Repository} has them, but not on which hub; give --hub URL or HF_ENDPOINT")]
    partial void LogNoHub(string repository);

    [LoggerMessage(Level = LogLevel.Information, Message = "Fetching {Count} parts, {Bytes} bytes, from {Host}, and {Others} from the coordinator")]
    partial void LogFromHub(int count, long bytes, string host, int others);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Fetching the rest of the weights from the coordinator, because the hub is of no use: {Problem}")]
    partial void LogHubGivenUp(string problem);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "Fetching {Count} parts, {Bytes} bytes, from workers that have them, and others from the coordinator")]
    partial void LogFromPeers(int count, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "Fetching the rest of the weights from the coordinator, because it does not say which workers have them: {Problem}")]
    partial void LogSharingGivenUp(string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Tensor} of {Host} holds other bytes than the coordinator's model; fetching it from the coordinator")]
    partial void LogOtherBytes(string tensor, string host);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Fetching weights broke off, attempt {Attempt} of {Attempts}: {Problem}")]
    partial void LogTryAgain(int attempt, int attempts, string problem);

    /// <summary>Counts what comes, from wherever.</summary>
    /// <param name="done">Bytes that were here before.</param>
    sealed class FetchMeter(LoadProgressFeed progress, long done)
    {
        long _done = done;

        public void Add(long bytes) => progress.Report(Interlocked.Add(ref _done, bytes));
    }
}
