using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;
using Microsoft.Extensions.Hosting;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>Sends registered workers that lack the model's files the parts of tensors that their shards need.</summary>
[CalledBy(Caller.RegisteredWorker)]
public sealed class WeightsService(ServedWeights weights, IHostApplicationLifetime lifetime) : Wire.Weights.WeightsBase
{
    public override Task<ModelDescription> Describe(DescribeModelRequest request, ServerCallContext context)
    {
        CheckDigest(request.ModelDigest);
        return Task.FromResult(weights.Describe());
    }

    public override async Task Fetch(FetchRequest request, IServerStreamWriter<WeightChunk> chunks, ServerCallContext context)
    {
        CheckDigest(request.ModelDigest);
        var parts = request.Tensors.Select(Find).ToList();   // all of them are checked before the first byte is sent
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        for (var index = 0; index < parts.Count; index++)
            foreach (var chunk in WeightChunks.Of(weights.Files, parts[index]))
            {
                (chunk.ViewVersion, chunk.TensorIndex) = (request.ViewVersion, (uint)index);
                await chunks.WriteAsync(chunk, ends.Token);
            }
    }

    void CheckDigest(string digest)
    {
        if (Field.Digest("model_digest", digest) != weights.Digest)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"model {digest} is not served here; {weights.Digest} ({weights.Name}) is"));
    }

    /// <exception cref="InvalidMessageException">There is no such tensor, or it has no such rows or columns.</exception>
    TensorPart Find(TensorRows asked)
    {
        if (weights.Files.Find(asked.Name) is not { } tensor) throw new InvalidMessageException("tensors: there is no tensor of this name in the model");
        var part = TensorPart.Rows(tensor, Index(asked.FirstRow), Index(asked.RowCount));
        if (asked.ColumnCount > 0) part = part with { FirstColumn = Index(asked.FirstColumn), ColumnCount = Index(asked.ColumnCount) };
        var problem = part.RowCount == 0 ? $"no rows of {tensor.Name} are asked for" : part.FirstProblem();
        return problem is null ? part : throw new InvalidMessageException($"tensors: {problem}");
    }

    /// <summary>A number above long.MaxValue is out of range for every tensor, as long.MaxValue is.</summary>
    static long Index(ulong asked) => (long)Math.Min(asked, long.MaxValue);
}
