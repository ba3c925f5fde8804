using System.Runtime.InteropServices;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Orders;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>KV that a worker has of a view that is over.</summary>
sealed record SimLeft(SimKept Kept, RanViews Views, ShardIdentity Numbers)
{
    /// <summary>Puts layers together, of which each is in one of two and which meet.</summary>
    public static SimLeft Join(SimLeft lower, SimLeft upper) => new(
        new SimKept(lower.Kept.States.Below(upper.Kept.States), new Dictionary<int, ulong[]>(lower.Kept.Layers.Concat(upper.Kept.Layers))),
        lower.Views.And(upper.Views), upper.Numbers);
}

/// <summary>
/// KV on its way from a simulated worker to another one, by the protocol of the real ones. A chunk is a block; the network breaks
/// calls, but changes nothing in them.
/// </summary>
static class SimKvTransfer
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>What of an order's shard is there: of the worker itself, and what others give, the last layers first.</summary>
    public static async Task<SimLeft?> FetchAsync(SimWorker worker, LoadOrder order, SimLeft? own)
    {
        SimLeft? got = null;
        List<(LayerRange Layers, KvSource? Source)> parts = [.. order.KvSources.Select(source => (source.Layers, source))];
        if (own?.Kept.States is { } states) parts.Add((new LayerRange(states.FirstLayer, states.EndLayer - states.FirstLayer), null));
        foreach (var (layers, source) in parts.OrderByDescending(part => part.Layers.First))
        {
            if (layers.End != (got?.Kept.States.FirstLayer ?? order.Shape.EndLayer)) break;
            if ((source is null ? own : await FetchAsync(worker, order, source)) is not { } next) break;
            got = got is null ? next : SimLeft.Join(next, got);
        }
        return got ?? own;
    }

    /// <summary>Gives what a worker has left.</summary>
    public static async Task GiveAsync(Wire.FetchKvRequest request, SimLeft? left, IServerStreamWriter<Wire.KvChunk> responses)
    {
        var (first, end) = ((int)request.FirstLayer, (int)(request.FirstLayer + request.LayerCount));
        if (left is null || !request.Numbers.Span.SequenceEqual(left.Numbers.Hash) || first < left.Kept.States.FirstLayer || end > left.Kept.States.EndLayer)
            throw new RpcException(new Status(StatusCode.NotFound, "nothing fits"));
        await responses.WriteAsync(new Wire.KvChunk { Views = { left.Views.ToMessages() } });
        foreach (var block in request.Blocks.Where(block => block < left.Kept.States.From.Length && left.Kept.States.From[block] <= first))
        {
            var layers = Enumerable.Range(first, end - first).SelectMany(layer => MemoryMarshal.AsBytes(Positions(left.Kept.Layers[layer], block)).ToArray());
            await responses.WriteAsync(new Wire.KvChunk { Block = block, Data = ByteString.CopyFrom([.. layers]) });
        }
    }

    static Span<ulong> Positions(ulong[] layer, int block) => layer.AsSpan(block * KvBlock.Positions, KvBlock.Positions);

    static async Task<SimLeft?> FetchAsync(SimWorker worker, LoadOrder order, KvSource source)
    {
        var (blocks, first, end) = (worker.Machine.KvBlocks, source.Layers.First, source.Layers.End);
        var layers = Enumerable.Range(first, end - first).ToDictionary(layer => layer, _ => new ulong[blocks * KvBlock.Positions]);
        var states = new KeptStates(first, end, [.. Enumerable.Repeat(end, blocks)]);
        RanViews? views = null;
        using var connection = worker.Peers.Connect(source.Address);
        try
        {
            using var call = new Wire.KvTransfer.KvTransferClient(connection.Calls).Fetch(new Wire.FetchKvRequest
            {
                ViewVersion = order.Plan.ViewVersion,
                Stays = order.Plan.Find(source.Worker) is not null,
                Numbers = ByteString.CopyFrom(ShardIdentity.OfNumbers(order).Hash),
                FirstLayer = (uint)first,
                LayerCount = (uint)source.Layers.Count,
                Blocks = { order.KvBlocks.Where(block => block < blocks) },
            }, source.Key.ToHeaders());
            while (await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience, worker.Process.Clock))
            {
                var chunk = call.ResponseStream.Current;
                if (views is null)
                {
                    views = new RanViews([.. chunk.Views.Select(view => new RanView(view.ViewVersion, view.LastStep))]);
                    continue;
                }
                var numbers = MemoryMarshal.Cast<byte, ulong>(chunk.Data.Span);
                foreach (var (layer, keys) in layers)
                    numbers.Slice((layer - first) * KvBlock.Positions, KvBlock.Positions).CopyTo(Positions(keys, chunk.Block));
                states.From[chunk.Block] = first;
            }
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException or TimeoutException)
        {
            // What has come is right.
        }
        return views is null ? null : new SimLeft(new SimKept(states, layers), views, ShardIdentity.OfNumbers(order));
    }
}
