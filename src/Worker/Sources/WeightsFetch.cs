using Grpc.Core;
using LlamaCluster.Model.Formats;
using LlamaCluster.Worker.Orders;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Sources;

/// <summary>One Fetch call of the coordinator. It asks for parts and writes them to the cache.</summary>
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
        using var receiver = new ChunkReceiver(
            ends => client.Fetch(Request(parts), owner.Headers, cancellationToken: ends), order.Plan.ViewVersion, LeastPace.AnyWithin(silence), cancellation);
        for (var index = 0; index < parts.Count; index++)
        {
            using var writer = cache.Create(digest, parts[index]);
            var announced = await receiver.ReceiveAsync((uint)index, writer, arrived);
            if (writer.Hash != announced) throw OtherBytes(writer.Part.Tensor.Name);
            yield return writer.Commit();
        }
    }

    Wire.FetchRequest Request(IReadOnlyList<TensorPart> parts) =>
        new() { ViewVersion = order.Plan.ViewVersion, ModelDigest = digest, Tensors = { parts.Select(CoordinatorWeights.ToMessage) } };

    FetchException OtherBytes(string tensor) => new(
        $"the bytes of {tensor} that came do not hash to what the coordinator has on record: "
        + $"{order.ModelPath ?? "its model"} is damaged there, or was changed; put the right file there and start the coordinator again");
}
