using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Models;
using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// Opens models that this machine has no file of. It asks the Weights service what the model is, and fetches exactly the parts of tensors that
/// the shard needs into the cache. They stay there for the next time: a part that is there and whole is not fetched again.
/// </summary>
sealed partial class RemoteModels(
    WeightsCache cache, IModelLoader loader, PeerChannels channels, ClusterOwner owner, WorkerOptions options, ILogger<RemoteModels> logger)
{
    /// <summary>Calls before it gives up. Each goes on after the last tensor that is whole.</summary>
    const int Attempts = 3;

    /// <exception cref="RpcException">The weights cannot be fetched. The status says why.</exception>
    public async Task<OpenedModel> OpenAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        var (plan, address) = (order.Plan, order.WeightsAddress ?? options.Coordinator);
        using var channel = channels.Open(address);
        var client = new Wire.Weights.WeightsClient(channel);
        var fetch = new WeightsFetch(client, owner, cache, plan.ViewVersion, plan.ModelDigest, options.PeerTimeout);
        var tensors = new CachedTensors(cache, plan.ModelDigest);
        try
        {
            var described = await DescribeAsync(client, order, cancellation);
            var config = described.Config;
            if (described.RopeFactors is { } factors)
            {
                await ObtainAsync(tensors, [TensorPart.Whole(factors)], fetch, progress, cancellation);
                config = WithFactors(config, tensors[factors]);
            }
            var parts = loader.PartsOf(described.Tensors, order.Shape, order.SliceOf(config, described.Tensors), config);
            await ObtainAsync(tensors, parts, fetch, progress, cancellation);
            var source = tensors.Fetched ? "coordinator" : $"cache {cache.FolderOf(plan.ModelDigest)}";
            return new OpenedModel(new CachedWeights(described.Name, config, plan.ModelDigest, tensors.All), source);
        }
        catch (Exception e)
        {
            tensors.Dispose();
            if (cancellation.IsCancellationRequested || ToStatus(e) is not var (code, problem)) throw;
            throw new RpcException(new Status(code, $"weights from {PeerAddress.Format(address)}: {problem}"));
        }
    }

    static (StatusCode Code, string Problem)? ToStatus(Exception e) => e switch
    {
        InvalidMessageException or FetchException => (StatusCode.DataLoss, e.Message),
        // It is not this worker that is unavailable.
        RpcException { StatusCode: StatusCode.Unavailable } or OperationCanceledException => (StatusCode.Aborted, RpcProblem.Describe(e)),
        RpcException rpc => (rpc.StatusCode, RpcProblem.Describe(e)),
        _ => null,
    };

    async Task<DescribedModel> DescribeAsync(Wire.Weights.WeightsClient client, LoadOrder order, CancellationToken cancellation)
    {
        var request = new Wire.DescribeModelRequest { ViewVersion = order.Plan.ViewVersion, ModelDigest = order.Plan.ModelDigest };
        var description = await client.DescribeAsync(request, owner.Headers, deadline: DateTime.UtcNow + RpcSettings.CallDeadline, cancellationToken: cancellation);
        return description.ToModel(order.Plan.ModelDigest);
    }

    async Task ObtainAsync(
        CachedTensors tensors, IReadOnlyList<TensorPart> parts, WeightsFetch fetch, LoadProgressFeed progress, CancellationToken cancellation)
    {
        var total = parts.Sum(part => part.Bytes);
        progress.Begin(Phase.Opening, total, $"cache {cache.FolderOf(tensors.Digest)}");
        var missing = await Task.Run(() => tensors.TakeWhatIsThere(parts, progress, cancellation), cancellation);
        if (missing.Count == 0) return;
        CheckSpace(tensors.Digest, missing.Sum(part => part.Bytes));
        progress.Begin(Phase.Fetching, total, "coordinator");
        for (var attempt = 1; ; attempt++)
            try
            {
                // Counted anew in each attempt, because a part that broke off is fetched from its start.
                var done = total - missing.Sum(part => part.Bytes);
                await foreach (var cached in fetch.RunAsync(missing, bytes => progress.Report(done += bytes), cancellation))
                    tensors.AddFetched(cached);
                return;
            }
            catch (Exception e) when (attempt < Attempts && e is FetchException or RpcException { StatusCode: StatusCode.Unavailable })
            {
                LogTryAgain(attempt, Attempts, RpcProblem.Describe(e));
                missing = [.. missing.Where(part => !tensors.Has(part))];
            }
    }

    void CheckSpace(string digest, long needed)
    {
        var free = cache.FreeBytes(digest);
        if (free < needed)
            throw new RpcException(new Status(StatusCode.ResourceExhausted, $"{needed} bytes of weights do not fit in the {free} free bytes at {cache.FolderOf(digest)}; --cache names another folder"));
    }

    static LlamaConfig WithFactors(LlamaConfig config, CachedTensor tensor)
    {
        var info = tensor.Part.Tensor;
        var stored = new byte[info.Bytes];
        tensor.ReadPart(tensor.Part, stored);
        var divisors = new float[info.Columns];
        RowDecoder.Decode(info.Type, stored, divisors);
        var complete = config with { RopeScaling = new RopeScaling.Factors(divisors) };
        return LlamaConfigRules.FirstProblem(complete) is { } problem ? throw new InvalidMessageException($"{info.Name}: {problem}") : complete;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Fetching weights broke off, attempt {Attempt} of {Attempts}: {Problem}")]
    partial void LogTryAgain(int attempt, int attempts, string problem);
}
