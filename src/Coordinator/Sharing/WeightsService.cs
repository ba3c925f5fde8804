using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;
using Microsoft.Extensions.Hosting;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Sharing;

/// <summary>
/// Sends registered workers that lack the model's files the parts of tensors that their shards need, and tells what parts hash to. Adapters' tensors,
/// which no worker has files of, it sends under the adapters' digests.
/// </summary>
[CalledBy(Caller.RegisteredWorker)]
sealed class WeightsService(
    ServedWeights weights, AdapterRegistry adapters, PartSharing sharing, CoordinatorMetrics metrics, IHostApplicationLifetime lifetime, TimeProvider time)
    : Wire.Weights.WeightsBase
{
    /// <summary>How often a worker that waits for a hash is told that it is being made.</summary>
    static readonly TimeSpan News = TimeSpan.FromSeconds(2);

    public override Task<ModelDescription> Describe(DescribeModelRequest request, ServerCallContext context)
    {
        if (Find(request.ModelDigest).Files != weights.Files) throw weights.NotServed(request.ModelDigest);
        return Task.FromResult(weights.Describe());
    }

    public override async Task Fetch(FetchRequest request, IServerStreamWriter<WeightChunk> chunks, ServerCallContext context)
    {
        var (files, hashes) = Find(request.ModelDigest);
        var parts = request.Tensors.Select(files.PartOf).ToList();   // all of them are checked before the first byte is sent
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        try
        {
            foreach (var (index, part) in parts.Index())
                foreach (var chunk in HashedChunks.Of(files, part, hashes.Find(part)))
                {
                    (chunk.ViewVersion, chunk.TensorIndex) = (request.ViewVersion, (uint)index);
                    if (chunk.LastOfTensor) hashes.Learn(part, chunk.PartHash);
                    var bytes = chunk.Data.Length;
                    await chunks.WriteAsync(chunk, ends.Token);
                    metrics.WeightsSent(bytes);
                }
        }
        finally
        {
            hashes.Keep();
        }
    }

    public override async Task Hash(HashRequest request, IServerStreamWriter<HashReply> replies, ServerCallContext context)
    {
        var (files, hashes) = Find(request.ModelDigest);
        var parts = request.Tensors.Select(files.PartOf).ToList();
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        try
        {
            foreach (var (index, part) in parts.Index())
            {
                var read = new ReadSoFar();
                var reply = new HashReply { ViewVersion = request.ViewVersion, TensorIndex = (uint)index };
                var hash = hashes.GetAsync(part, read, ends.Token);
                while (await Task.WhenAny(hash, Task.Delay(News, time, ends.Token)) != hash)
                    await replies.WriteAsync(new HashReply(reply) { BytesRead = (ulong)read.Bytes }, ends.Token);
                await replies.WriteAsync(new HashReply(reply) { BytesRead = (ulong)part.Bytes, PartHash = await hash }, ends.Token);
            }
        }
        finally
        {
            hashes.Keep();
        }
    }

    public override async Task Share(IAsyncStreamReader<ShareRequest> requests, IServerStreamWriter<ShareReply> replies, ServerCallContext context)
    {
        if (!weights.AreShared)
            throw new RpcException(new Status(
                StatusCode.FailedPrecondition, "workers do not give each other weights here; start the coordinator with --weights-from peer"));
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        await sharing.RunAsync(RegisteredWorkers.Speaker(context), requests, replies, ends.Token);
    }

    /// <summary>The model, or an adapter.</summary>
    (IModelWeights Files, PartHashes Hashes) Find(string digest)
    {
        if (Field.Digest("model_digest", digest) == weights.Digest) return (weights.Files, weights.Hashes);
        return adapters.FindDigest(digest) is { } adapter ? (adapter.Weights.Tensors, adapter.Hashes) : throw weights.NotServed(digest);
    }
}

/// <summary>How much of a part was read, from any thread.</summary>
sealed class ReadSoFar : IProgress<long>
{
    long _bytes;

    public long Bytes => Volatile.Read(ref _bytes);

    public void Report(long value) => Volatile.Write(ref _bytes, value);
}
