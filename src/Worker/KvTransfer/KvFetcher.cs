using System.Buffers.Binary;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.KvTransfer;

/// <summary>What a worker is asked for.</summary>
/// <param name="Blocks">The most wanted first.</param>
/// <param name="Awaited">For so many of them, from the first on, sequences wait.</param>
/// <param name="BlockCount">Of the shard.</param>
/// <param name="LayoutOf">By layer of the shard.</param>
sealed record KvWanted(LoadOrder Order, Func<int, KvBlockLayout> LayoutOf, IReadOnlyList<int> Blocks, int Awaited, int BlockCount)
{
    /// <summary>Of one block over some layers.</summary>
    public int BlockBytes(LayerRange layers) => checked((int)Enumerable.Range(layers.First, layers.Count).Sum(layer => LayoutOf(layer).Bytes));
}

/// <summary>What has come.</summary>
/// <param name="Kept">Null: nothing.</param>
/// <param name="AwaitedBlocks">So many of <paramref name="Blocks"/> are among those that sequences wait for.</param>
sealed record KvFetched(KeptKv? Kept, int Blocks, int AwaitedBlocks, long Bytes)
{
    public static KvFetched Nothing { get; } = new(null, 0, 0, 0);
}

/// <summary>
/// Fetches KV blocks of layers that this worker has got, from the worker that had them. One block is in memory beside where it belongs. Whatever goes wrong,
/// what has come until then is right: each block has the hash that it was sent with, and blocks come in the order asked for.
/// </summary>
sealed partial class KvFetcher(PeerChannels channels, TimeProvider time, ILogger<KvFetcher> logger)
{
    /// <summary>How long the other worker may say nothing. It may still have a step to run.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>As long as blocks may come that no sequence waits for.</summary>
    static readonly TimeSpan Leisure = TimeSpan.FromSeconds(1);

    /// <param name="cancellation">Ends it with what has come.</param>
    public async Task<KvFetched> FetchAsync(KvSource source, KvWanted wanted, CancellationToken cancellation)
    {
        IncomingBlocks? incoming = null;
        var problem = "";
        using var silence = new CancellationTokenSource(Patience, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellation);
        try
        {
            incoming = new IncomingBlocks(source.Layers, wanted);
            var begun = time.GetTimestamp();
            using var channel = channels.Open(source.Address);
            using var call = new Wire.KvTransfer.KvTransferClient(channel)
                .Fetch(RequestOf(source, wanted), source.Key.ToHeaders(), cancellationToken: ends.Token);
            while (!(incoming.HasAwaited && time.GetElapsedTime(begun) >= Leisure) && await call.ResponseStream.MoveNext(ends.Token))
            {
                silence.CancelAfter(Patience);
                incoming.Add(call.ResponseStream.Current);
            }
        }
        catch (Exception e) when (e is RpcException or IOException or HttpRequestException
            or OperationCanceledException or InvalidMessageException or OutOfMemoryException)
        {
            problem = silence.IsCancellationRequested ? $"it said nothing for {Patience.TotalSeconds} s" : RpcProblem.Describe(e);
        }
        var fetched = incoming?.Finish() ?? KvFetched.Nothing;
        LogFetched(
            fetched.Blocks, source.Layers, PeerAddress.Format(source.Address), fetched.Bytes,
            wanted.Awaited - fetched.AwaitedBlocks, problem.Length > 0 ? ": " : "", problem);
        return fetched;
    }

    static Wire.FetchKvRequest RequestOf(KvSource source, KvWanted wanted) => new()
    {
        ViewVersion = wanted.Order.Plan.ViewVersion,
        Stays = wanted.Order.Plan.Find(source.Worker) is not null,
        Numbers = UnsafeByteOperations.UnsafeWrap(ShardIdentity.OfNumbers(wanted.Order).Hash),
        FirstLayer = (uint)source.Layers.First,
        LayerCount = (uint)source.Layers.Count,
        BlockBytes = (uint)wanted.BlockBytes(source.Layers),
        Blocks = { wanted.Blocks },
    };

    [LoggerMessage(Level = LogLevel.Information, Message =
        "Fetched KV of {Blocks} blocks of {Layers} from {Address}, {Bytes} bytes; {Missing} that sequences wait for did not come{Colon}{Problem}")]
    partial void LogFetched(int blocks, LayerRange layers, string address, long bytes, int missing, string colon, string problem);

    /// <summary>Puts chunks together to blocks, and blocks into layers.</summary>
    sealed class IncomingBlocks(LayerRange layers, KvWanted wanted)
    {
        readonly KeptBlocks _kept = KeptBlocks.Blank(wanted.LayoutOf, layers.First, layers.End, wanted.BlockCount);
        readonly byte[] _block = GC.AllocateUninitializedArray<byte>(wanted.BlockBytes(layers));
        RanViews? _views;
        int _filled, _next, _blocks, _awaited;

        /// <summary>Nothing comes any more that sequences wait for.</summary>
        public bool HasAwaited => _next >= wanted.Awaited;

        /// <exception cref="InvalidMessageException">It is not what was asked for.</exception>
        public void Add(Wire.KvChunk chunk)
        {
            if (_views is null)
            {
                _views = new RanViews([.. chunk.Views.Select(view => new RanView(view.ViewVersion, view.LastStep))]);
                return;
            }
            if (_filled == 0) SkipTo(chunk.Block);
            else if (wanted.Blocks[_next] != chunk.Block)
                throw new InvalidMessageException($"block {chunk.Block} came where the rest of {wanted.Blocks[_next]} is due");
            if (chunk.Data.Length > _block.Length - _filled) throw new InvalidMessageException($"block {chunk.Block} has more than {_block.Length} bytes");
            chunk.Data.Span.CopyTo(_block.AsSpan(_filled));
            _filled += chunk.Data.Length;
            if (chunk.Hash.IsEmpty) return;
            if (_filled < _block.Length || chunk.Hash.Length != 16 || BinaryPrimitives.ReadUInt128LittleEndian(chunk.Hash.Span) != SegmentFile.HashOf(_block))
                throw new InvalidMessageException($"block {chunk.Block} has another hash than it was sent with");
            _kept.CopyIn(chunk.Block, _block);
            (_filled, _blocks) = (0, _blocks + 1);
            if (_next++ < wanted.Awaited) _awaited++;
        }

        public KvFetched Finish()
        {
            if (_blocks > 0) return new KvFetched(new KeptKv(_kept, _views!), _blocks, _awaited, (long)_blocks * _block.Length);
            _kept.Dispose();
            return KvFetched.Nothing;
        }

        /// <summary>Blocks that the other worker cannot vouch for are left out.</summary>
        void SkipTo(int block)
        {
            while (_next < wanted.Blocks.Count && wanted.Blocks[_next] != block) _next++;
            if (_next == wanted.Blocks.Count) throw new InvalidMessageException($"block {block} came, which was not due");
        }
    }
}
