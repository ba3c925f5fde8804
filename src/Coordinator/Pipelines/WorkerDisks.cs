using Google.Protobuf;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using BlockMoves = LlamaCluster.Coordinator.Scheduling.BlockMoves;
using BlockRestore = LlamaCluster.Protos.BlockRestore;
using BlockSpill = LlamaCluster.Protos.BlockSpill;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>Talks to the workers of a view about the KV blocks on their disks, over the streams of steps.</summary>
sealed class WorkerDisks : IWorkerDisks
{
    /// <summary>What a worker has for one read (30 s), and more.</summary>
    static readonly TimeSpan ReadTime = TimeSpan.FromSeconds(60);

    readonly ulong _viewVersion;
    readonly IReadOnlyList<StepStream> _streams;
    readonly Lock _sending;
    readonly Lock _reporting = new();
    readonly Queue<DiskReport> _early = [];   // before anybody followed
    Action<DiskReport>? _report;

    /// <param name="streams">In the order of the plan; all have a disk.</param>
    /// <param name="sending">Held while messages are sent, so that all workers get them in the same order.</param>
    /// <param name="stepTime">The most that a step may take. What was read is put back between steps.</param>
    /// <exception cref="InvalidMessageException">A worker announced what cannot be.</exception>
    public WorkerDisks(ulong viewVersion, IReadOnlyList<StepStream> streams, Lock sending, TimeSpan stepTime)
    {
        Patience = ReadTime + stepTime;
        (_viewVersion, _streams, _sending, SpillsAtOnce) = (viewVersion, streams, sending, streams.Min(stream => stream.SpillsAtOnce));
        foreach (var (worker, stream) in streams.Index())
            foreach (var kept in stream.TakeAnnounced()) _early.Enqueue(Read(worker, kept));
    }

    public int Count => _streams.Count;

    public int SpillsAtOnce { get; }

    public TimeSpan Patience { get; }

    public string NameOf(int worker) => _streams[worker].Worker.ToString();

    public void Move(BlockMoves moves)
    {
        var messages = MessagesOf(moves, _viewVersion).ToList();
        lock (_sending)
            foreach (var message in messages)
                foreach (var stream in _streams) stream.Send(message);
    }

    public void Follow(Action<DiskReport> report)
    {
        lock (_reporting)
        {
            while (_early.TryDequeue(out var early)) report(early);
            _report = report;
        }
    }

    /// <exception cref="InvalidMessageException">It is not what a worker may say.</exception>
    public void OnKept(StepStream from, BlocksKept message) => Tell(Read(IndexOf(from), message));

    /// <inheritdoc cref="OnKept"/>
    public void OnRestored(StepStream from, BlocksRestored message) =>
        Tell(new DiskReport.Restored(IndexOf(from), message.RestoreId, Field.Count("restored blocks", message.Count, 0, int.MaxValue)));

    public void OnRestoring(StepStream from) => Tell(new DiskReport.Restoring(IndexOf(from)));

    void Tell(DiskReport report)
    {
        lock (_reporting)
            if (_report is { } tell) tell(report);
            else _early.Enqueue(report);
    }

    int IndexOf(StepStream stream)
    {
        for (var i = 0; i < _streams.Count; i++)
            if (_streams[i] == stream) return i;
        throw new ArgumentException("a stream of another view", nameof(stream));
    }

    static DiskReport.Changed Read(int worker, BlocksKept message) => new(
        worker, Keys("kept", message.Kept), Keys("dropped", message.Dropped), Field.Count("spills_done", message.SpillsDone, 0, int.MaxValue));

    static PrefixCacheKey[] Keys(string field, ByteString bytes)
    {
        if (bytes.Length % PrefixCacheKey.Size != 0) throw new InvalidMessageException($"{field} has {bytes.Length} bytes, which are not whole keys");
        return PrefixCacheKey.ReadAll(bytes.Span);
    }

    /// <summary>A restore has a message of its own, so that each keeps the budget.</summary>
    internal static IEnumerable<StepRequest> MessagesOf(BlockMoves moves, ulong viewVersion)
    {
        StepRequest Message(Protos.BlockMoves message)
        {
            message.ViewVersion = viewVersion;
            return new StepRequest { Moves = message };
        }

        if (moves.Spills.Count + moves.Used.Count + moves.GivenUp.Count > 0)
            yield return Message(new Protos.BlockMoves
            {
                Spills = { moves.Spills.Select(spill => new BlockSpill { Block = spill.Block, Key = Bytes([spill.Key]) }) },
                Used = Bytes(moves.Used),
                GivenUp = { moves.GivenUp },
            });
        foreach (var restore in moves.Restores)
            yield return Message(new Protos.BlockMoves
            {
                Restores =
                {
                    new BlockRestore
                    {
                        RestoreId = restore.Id,
                        Blocks = { restore.Blocks.Select(block => block.Block) },
                        Keys = Bytes(restore.Blocks.Select(block => block.Key)),
                    },
                },
            });
    }

    static ByteString Bytes(IEnumerable<PrefixCacheKey> keys) => UnsafeByteOperations.UnsafeWrap(PrefixCacheKey.WriteAll([.. keys]));
}
