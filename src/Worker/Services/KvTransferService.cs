using System.Buffers.Binary;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.KvTransfer;
using LlamaCluster.Worker.Loading;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Services;

/// <summary>Gives KV of layers that this worker had to the workers that have them from now on. One block at a time is in memory.</summary>
[CalledBy(Caller.KvFetcher)]
sealed partial class KvTransferService(ShardKeeper shards, WorkerLifetime lifetime, TimeProvider time, ILogger<KvTransferService> logger)
    : Wire.KvTransfer.KvTransferBase
{
    const int MaxLayers = 1 << 16;

    /// <summary>How long the view that is over may take to end here, and a new assignment to come.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public override async Task Fetch(Wire.FetchKvRequest request, IServerStreamWriter<Wire.KvChunk> responses, ServerCallContext context)
    {
        var first = Field.Count("first_layer", request.FirstLayer, 0, MaxLayers);
        var end = first + Field.Count("layer_count", request.LayerCount, 1, MaxLayers);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        var offer = await OfferOfAsync(request, ends.Token);
        var block = GC.AllocateUninitializedArray<byte>(checked((int)request.BlockBytes));
        await responses.WriteAsync(new Wire.KvChunk { Views = { offer.Views.ToMessages() } }, ends.Token);
        var sent = 0;
        foreach (var id in request.Blocks)
        {
            if (!offer.TryCopyOut(id, first, end, block)) continue;
            await WriteAsync(id, block, responses, ends.Token);
            sent++;
        }
        LogGiven(sent, first, end - 1, request.ViewVersion);
    }

    /// <exception cref="RpcException">NOT_FOUND: there is nothing that fits.</exception>
    async Task<KvOffer> OfferOfAsync(Wire.FetchKvRequest request, CancellationToken cancellation)
    {
        using var late = new CancellationTokenSource(Patience, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        KvOffer? offer;
        try
        {
            offer = await shards.OfferAsync(request.ViewVersion, request.Stays, ends.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or TimeoutException && !cancellation.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.DeadlineExceeded, "the view that is over has not ended here yet"));
        }
        return offer is not null && offer.Numbers.Hash.AsSpan().SequenceEqual(request.Numbers.Span)
            && offer.BlockBytes((int)request.FirstLayer, (int)(request.FirstLayer + request.LayerCount)) == request.BlockBytes
            ? offer : throw new RpcException(new Status(StatusCode.NotFound, "this worker has no KV of those layers and numbers"));
    }

    static async Task WriteAsync(int id, byte[] block, IServerStreamWriter<Wire.KvChunk> responses, CancellationToken cancellation)
    {
        var hash = new byte[16];
        BinaryPrimitives.WriteUInt128LittleEndian(hash, SegmentFile.HashOf(block));
        // Also where there is nothing to say but that the block is there.
        var at = 0;
        do
        {
            var data = block.AsMemory(at, Math.Min(MessageBudgets.FramePayload, block.Length - at));
            var chunk = new Wire.KvChunk { Block = id, Data = UnsafeByteOperations.UnsafeWrap(data) };
            at += data.Length;
            if (at == block.Length) chunk.Hash = UnsafeByteOperations.UnsafeWrap(hash);
            await responses.WriteAsync(chunk, cancellation);
        }
        while (at < block.Length);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Gave KV of {Blocks} blocks of layers {First} to {Last} to a worker of view {ViewVersion}")]
    partial void LogGiven(int blocks, int first, int last, ulong viewVersion);
}
