using System.IO.Hashing;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Model.Formats;
using LlamaCluster.Worker.Orders;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// One Fetch call. It asks for parts and writes them to the cache chunk by chunk. Each chunk must be the next one in order, and is kept in
/// memory no longer than it takes to write it.
/// </summary>
/// <param name="digest">Of the model, or of the adapter, that the parts are of.</param>
/// <param name="silence">The longest time that may pass without a chunk.</param>
sealed class WeightsFetch(Wire.Weights.WeightsClient client, ClusterOwner owner, WeightsCache cache, LoadOrder order, string digest, TimeSpan silence)
{
    /// <param name="arrived">Gets each chunk's length.</param>
    /// <returns>The parts as they become whole, in the order asked for.</returns>
    /// <exception cref="FetchException">The stream is not what was asked for.</exception>
    /// <exception cref="RpcException">The call failed.</exception>
    public async IAsyncEnumerable<CachedTensor> RunAsync(
        IReadOnlyList<TensorPart> parts, Action<int> arrived, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var call = client.Fetch(Request(parts), owner.Headers, cancellationToken: waiting.Token);
        for (var index = 0; index < parts.Count; index++)
        {
            using var writer = cache.Create(digest, parts[index]);
            var announced = "";
            while (writer.Length < writer.Part.Bytes)
            {
                var chunk = await NextAsync(call.ResponseStream, waiting, cancellation);
                Check(chunk, (uint)index, writer);
                await writer.AppendAsync(chunk.Data.Memory, cancellation);
                arrived(chunk.Data.Length);
                announced = chunk.PartHash;
            }
            if (writer.Hash != announced) throw OtherBytes(writer.Part.Tensor.Name);
            yield return writer.Commit();
        }
    }

    Wire.FetchRequest Request(IReadOnlyList<TensorPart> parts) =>
        new() { ViewVersion = order.Plan.ViewVersion, ModelDigest = digest, Tensors = { parts.Select(CoordinatorWeights.ToMessage) } };

    FetchException OtherBytes(string tensor) => new(
        $"the bytes of {tensor} that came do not hash to what the coordinator has on record: {order.ModelPath ?? "its model"} is damaged there, or was changed; "
        + "put the right file there and start the coordinator again");

    async Task<Wire.WeightChunk> NextAsync(IAsyncStreamReader<Wire.WeightChunk> chunks, CancellationTokenSource waiting, CancellationToken cancellation)
    {
        try
        {
            waiting.CancelAfter(silence);
            return await chunks.MoveNext(waiting.Token) ? chunks.Current : throw new FetchException("the stream of weights ended early");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new FetchException($"no weights came for {silence.TotalSeconds:0.##} s");
        }
        finally
        {
            waiting.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }

    void Check(Wire.WeightChunk chunk, uint index, CacheWriter writer)
    {
        var (name, left) = (writer.Part.Tensor.Name, writer.Part.Bytes - writer.Length);
        if (chunk.ViewVersion != order.Plan.ViewVersion) throw new FetchException($"a chunk is of view {chunk.ViewVersion}, not {order.Plan.ViewVersion}");
        if (chunk.TensorIndex != index || chunk.Offset != (ulong)writer.Length)
            throw new FetchException($"byte {chunk.Offset} of tensor {chunk.TensorIndex} came where byte {writer.Length} of tensor {index} ({name}) is next");
        if (chunk.Data.Length is 0 or > MessageBudgets.FramePayload || chunk.Data.Length > left)
            throw new FetchException($"a chunk of {name} has {chunk.Data.Length} bytes, where {left} are left and a chunk has at most {MessageBudgets.FramePayload}");
        if (chunk.LastOfTensor != (chunk.Data.Length == left)) throw new FetchException($"the end of {name} is marked in the wrong place");
        if (Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, chunk.Data.Span) != chunk.Crc32C) throw new FetchException($"the checksum of a chunk of {name} does not agree, at byte {chunk.Offset}");
    }
}

/// <summary>
/// A chunk of weights arrived damaged, out of order, or not at all. The message is one line. It is worth another try, from the first tensor
/// that is not whole.
/// </summary>
sealed class FetchException(string message) : Exception(message);
