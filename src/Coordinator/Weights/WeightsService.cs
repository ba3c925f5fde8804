using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;
using Microsoft.Extensions.Hosting;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>
/// Sends registered workers that lack the model's files the parts of tensors that their shards need, and tells what parts hash to. Adapters' tensors,
/// which no worker has files of, it sends under the adapters' digests.
/// </summary>
[CalledBy(Caller.RegisteredWorker)]
public sealed class WeightsService(ServedWeights weights, AdapterRegistry adapters, IHostApplicationLifetime lifetime, TimeProvider time) : Wire.Weights.WeightsBase
{
    /// <summary>How often a worker that waits for a hash is told that it is being made.</summary>
    static readonly TimeSpan News = TimeSpan.FromSeconds(2);

    public override Task<ModelDescription> Describe(DescribeModelRequest request, ServerCallContext context)
    {
        if (Find(request.ModelDigest).Files != weights.Files) throw NotServed(request.ModelDigest);
        return Task.FromResult(weights.Describe());
    }

    public override async Task Fetch(FetchRequest request, IServerStreamWriter<WeightChunk> chunks, ServerCallContext context)
    {
        var (files, hashes) = Find(request.ModelDigest);
        var parts = request.Tensors.Select(asked => Find(files, asked)).ToList();   // all of them are checked before the first byte is sent
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        try
        {
            foreach (var (index, part) in parts.Index())
                foreach (var chunk in WeightChunks.Of(files, part, hashes.Find(part)))
                {
                    (chunk.ViewVersion, chunk.TensorIndex) = (request.ViewVersion, (uint)index);
                    if (chunk.LastOfTensor) hashes.Learn(part, chunk.PartHash);
                    await chunks.WriteAsync(chunk, ends.Token);
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
        var parts = request.Tensors.Select(asked => Find(files, asked)).ToList();
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

    /// <summary>The model, or an adapter.</summary>
    (IModelWeights Files, PartHashes Hashes) Find(string digest)
    {
        if (Field.Digest("model_digest", digest) == weights.Digest) return (weights.Files, weights.Hashes);
        return adapters.FindDigest(digest) is { } adapter ? (adapter.Weights.Tensors, adapter.Hashes) : throw NotServed(digest);
    }

    RpcException NotServed(string digest) =>
        new(new Status(StatusCode.FailedPrecondition, $"model {digest} is not served here; {weights.Digest} ({weights.Name}) is"));

    /// <exception cref="InvalidMessageException">There is no such tensor, or it has no such rows or columns.</exception>
    static TensorPart Find(IModelWeights files, TensorRows asked)
    {
        if (files.Find(asked.Name) is not { } tensor) throw new InvalidMessageException("tensors: there is no tensor of this name in the model");
        var part = TensorPart.Rows(tensor, Index(asked.FirstRow), Index(asked.RowCount));
        if (asked.ColumnCount > 0) part = part with { FirstColumn = Index(asked.FirstColumn), ColumnCount = Index(asked.ColumnCount) };
        var problem = part.RowCount == 0 ? $"no rows of {tensor.Name} are asked for" : part.FirstProblem();
        return problem is null ? part : throw new InvalidMessageException($"tensors: {problem}");
    }

    /// <summary>A number above long.MaxValue is out of range for every tensor, as long.MaxValue is.</summary>
    static long Index(ulong asked) => (long)Math.Min(asked, long.MaxValue);
}

/// <summary>How much of a part was read, from any thread.</summary>
sealed class ReadSoFar : IProgress<long>
{
    long _bytes;

    public long Bytes => Volatile.Read(ref _bytes);

    public void Report(long value) => Volatile.Write(ref _bytes, value);
}
