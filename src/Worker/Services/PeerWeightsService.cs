using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Measuring;
using LlamaCluster.Worker.Sources;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Services;

/// <summary>Gives other workers the parts of weights that this one has. <see cref="GivingTurns"/> bounds what that takes.</summary>
[CalledBy(Caller.WeightsFetcher)]
sealed class PeerWeightsService(GivenWeights given, GivingTurns turns, ShardKeeper shards, WorkerLifetime lifetime, WorkerMetrics metrics)
    : Wire.PeerWeights.PeerWeightsBase
{
    /// <summary>How long a caller may take no bytes.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public override async Task Give(Wire.GiveRequest request, IServerStreamWriter<Wire.WeightChunk> chunks, ServerCallContext context)
    {
        var (digest, asked) = (Field.Digest("model_digest", request.ModelDigest), Field.Required("part", request.Part));
        if (request.PartHash.Length > 0) Field.Digest("part_hash", request.PartHash);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        using var turn = await turns.TakeAsync(ends.Token);
        using var part = given.Find(digest, weights => PartOf(weights, asked), request.PartHash)
            ?? throw new RpcException(new Status(StatusCode.NotFound, $"{Field.Text("part.name", asked.Name, 200)} is not here"));
        using var each = WeightChunks.Of(part.Part.RowCount, part.Part.RowBytes, part.Read).GetEnumerator();
        while (await NextAsync(each, ends.Token))
        {
            var (chunk, bytes) = (each.Current, each.Current.Data.Length);
            chunk.ViewVersion = request.ViewVersion;
            if (chunk.LastOfTensor) chunk.PartHash = request.PartHash;
            ends.CancelAfter(Patience);
            await chunks.WriteAsync(chunk, ends.Token);
            ends.CancelAfter(Timeout.InfiniteTimeSpan);
            metrics.WeightsGiven(bytes);
        }
    }

    async Task<bool> NextAsync(IEnumerator<Wire.WeightChunk> each, CancellationToken cancellation)
    {
        if (shards.Current is null) return each.MoveNext();
        using var turn = await turns.ReadAsync(cancellation);
        return each.MoveNext();
    }

    /// <exception cref="InvalidMessageException">There is no such tensor, or it has no such rows or columns.</exception>
    static TensorPart PartOf(IModelWeights weights, Wire.TensorRows asked)
    {
        if (weights.Find(asked.Name) is not { } tensor) throw new InvalidMessageException("part: there is no tensor of this name in the model");
        var (part, problem) = TensorPart.Asked(tensor, asked.FirstRow, asked.RowCount, asked.FirstColumn, asked.ColumnCount);
        return problem is null ? part : throw new InvalidMessageException($"part: {problem}");
    }
}
