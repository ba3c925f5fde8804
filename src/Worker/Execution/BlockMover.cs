using System.Collections.Concurrent;
using LlamaCluster.Model.Inference;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.KvDisk;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Moves KV blocks of one view between the stage and the disk, as the coordinator orders it. The stage's thread does nothing but copy a block to or from a
/// buffer, so no step waits for storage. Buffers are few: a spill that finds none is not done, and a restore waits for one, on the thread that reads.
/// Storage that does not answer a read for <see cref="Patience"/> ends all restores with what is back; one that answers may take as long as it needs.
/// </summary>
sealed partial class BlockMover
{
    /// <summary>How long storage may take for one block.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Between two words on how far restores are.</summary>
    public static readonly TimeSpan TellEvery = TimeSpan.FromSeconds(1);

    /// <summary>Keys in one message.</summary>
    const int KeysAtOnce = 4096;

    readonly ulong _viewVersion;
    readonly IKvBlocks _blocks;
    readonly KvStore _store;
    readonly BlockDisk _disk;
    readonly BlockBuffers _spilled;
    readonly BlockBuffers _read;
    readonly ConcurrentDictionary<ulong, Restore> _restores = [];   // under way
    readonly CancellationTokenSource _over = new();
    readonly ILogger _logger;
    readonly ITimer _late;
    long _told;   // a timestamp; on the stage's thread
    Action<Wire.StepReply> _reply = _ => { };
    Action<StageWork> _submit = _ => { };

    /// <param name="blocks">Of the stage of the view; used on the stage's thread only.</param>
    public BlockMover(ulong viewVersion, IKvBlocks blocks, KvStore store, BlockDisk disk, ILogger logger)
    {
        (_viewVersion, _blocks, _store, _disk, _logger) = (viewVersion, blocks, store, disk, logger);
        _late = disk.Time.CreateTimer(_ => LookWhetherLate(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        (_spilled, _read) = (BlockBuffers.ForSpills(blocks.BlockBytes), BlockBuffers.ForReads(blocks.BlockBytes));
    }

    /// <summary>Spills that may be under way.</summary>
    public int SpillsAtOnce => _spilled.Count;

    /// <summary>Bytes of all buffers.</summary>
    public static long BufferBytes(long blockBytes) =>
        (BlockBuffers.ForSpills((int)blockBytes).Count + BlockBuffers.ForReads((int)blockBytes).Count) * blockBytes;

    /// <param name="reply">Sends an answer to the coordinator; from any thread.</param>
    /// <param name="submit">Hands work to the stage's thread, and waits while that has much to do.</param>
    public void Start(Action<Wire.StepReply> reply, Action<StageWork> submit) => (_reply, _submit) = (reply, submit);

    /// <summary>All that is on disk now, in messages for the coordinator. Whatever changes afterwards is replied.</summary>
    public IEnumerable<Wire.StepReply> Announce() =>
        _store.Follow(OnChanged).Chunk(KeysAtOnce).Select(keys => StepReplies.Kept(_viewVersion, kept: keys, dropped: []));

    /// <summary>Begins what a message asks for. On the stage's thread.</summary>
    public void Begin(StageWork.MoveBlocks moves)
    {
        foreach (var id in moves.GivenUp)
            if (_restores.TryGetValue(id, out var given)) given.Failed = true;
        foreach (var (block, key) in moves.Spills)
            if (!TrySpill(block, key)) _reply(StepReplies.SpillDone(_viewVersion));
        if (moves.Used.Length > 0) _disk.Writer.TryPost(() => _store.Use(moves.Used));
        foreach (var restore in moves.Restores)
        {
            _restores[restore.Id] = restore;
            if (_disk.Reader.Silence >= Patience || !_disk.Reader.TryPost(() => Read(restore))) End(restore);
        }
        if (_restores.IsEmpty) return;
        _told = _disk.Time.GetTimestamp();
        _late.Change(Patience, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A block of a restore has been read. On the stage's thread.</summary>
    /// <param name="isOpen">False: the view is over.</param>
    public void PutBack(StageWork.PutBack read, bool isOpen)
    {
        var restore = read.Of;
        restore.Failed = restore.Failed || !isOpen || !_blocks.TryCopyIn(read.Block, read.Bytes);
        _read.Return(read.Bytes);
        if (restore.Failed) return;
        restore.Count++;
        if (_disk.Time.GetElapsedTime(_told) < TellEvery) return;
        _told = _disk.Time.GetTimestamp();
        _reply(StepReplies.Restoring(_viewVersion, restore.Id, restore.Count));
    }

    /// <summary>All of a restore that could be read is back, or no more is waited for. On the stage's thread.</summary>
    public void End(Restore restore)
    {
        restore.Failed = true;   // a block that is still being read comes too late
        if (_restores.TryRemove(restore.Id, out _)) _reply(StepReplies.Restored(_viewVersion, restore.Id, restore.Count));
    }

    /// <summary>The view is over. What is spilled is still written; nothing more is read.</summary>
    public void Close()
    {
        _late.Dispose();
        _over.Cancel();
    }

    /// <summary>On a thread of its own.</summary>
    void LookWhetherLate()
    {
        if (_restores.IsEmpty) return;
        var left = Patience - _disk.Reader.Silence;
        if (left > TimeSpan.Zero)
        {
            _late.Change(left, Timeout.InfiniteTimeSpan);
            return;
        }
        LogLate(Patience.TotalSeconds, _restores.Count);
        foreach (var restore in _restores.Values) _submit(new StageWork.EndRestore(restore));
    }

    bool TrySpill(int block, PrefixCacheKey key)
    {
        if (!_spilled.TryTake(out var bytes)) return false;
        if (_blocks.TryCopyOut(block, bytes) && _disk.Writer.TryPost(() => Write(key, bytes))) return true;
        _spilled.Return(bytes);
        return false;
    }

    void Write(PrefixCacheKey key, byte[] bytes)
    {
        try
        {
            _store.Put(key, bytes);
        }
        finally
        {
            _spilled.Return(bytes);
            _reply(StepReplies.SpillDone(_viewVersion));
        }
    }

    void Read(Restore restore)
    {
        try
        {
            foreach (var (block, key) in restore.Blocks)
                if (restore.Failed || !TryRead(restore, block, key)) break;
        }
        finally
        {
            _submit(new StageWork.EndRestore(restore));
        }
    }

    /// <returns>False if the block is not there, or the view is over.</returns>
    bool TryRead(Restore restore, int block, PrefixCacheKey key)
    {
        _disk.Reader.EndWait();   // buffers are the stage's to give back
        if (!_read.TryTake(_over.Token, out var bytes)) return false;
        _disk.Reader.BeginWait();
        var isThere = false;
        try
        {
            isThere = _store.TryGet(key, bytes);
        }
        finally
        {
            if (!isThere) _read.Return(bytes);
        }
        _disk.Reader.EndWait();
        if (isThere) _submit(new StageWork.PutBack(restore, block, bytes));
        return isThere;
    }

    void OnChanged(StoreChange change) => _reply(StepReplies.Kept(
        _viewVersion, kept: change.Kept is { } kept ? [kept] : [], dropped: change.Dropped is { } dropped ? [dropped] : []));

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "--kv-disk: storage has not answered a read for {Seconds} s; the {Restores} restores that wait for it end with what is back, and the rest is computed")]
    partial void LogLate(double seconds, int restores);
}

/// <summary>Blocks to be read, and how far that is.</summary>
sealed class Restore(ulong id, IReadOnlyList<(int Block, PrefixCacheKey Key)> blocks)
{
    bool _failed;

    public ulong Id => id;

    public IReadOnlyList<(int Block, PrefixCacheKey Key)> Blocks => blocks;

    /// <summary>So many are back, from the first on.</summary>
    public int Count { get; set; }

    /// <summary>No more will be. Set on the stage's thread, seen by the one that reads.</summary>
    public bool Failed
    {
        get => Volatile.Read(ref _failed);
        set => Volatile.Write(ref _failed, value);
    }
}
