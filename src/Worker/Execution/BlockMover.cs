using System.Collections.Concurrent;
using LlamaCluster.Model.Inference;
using LlamaCluster.Worker.KvDisk;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Moves KV blocks of one view between the stage and the disk, as the coordinator orders it. The stage's thread does nothing but copy a block to or from a
/// buffer, so no step waits for storage. Buffers are few: a spill that finds none is not done, and a restore waits for one, on the thread that reads.
/// </summary>
sealed class BlockMover
{
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
    Action<Wire.StepReply> _reply = _ => { };
    Action<StageWork> _submit = _ => { };

    /// <param name="blocks">Of the stage of the view; used on the stage's thread only.</param>
    public BlockMover(ulong viewVersion, IKvBlocks blocks, KvStore store, BlockDisk disk)
    {
        (_viewVersion, _blocks, _store, _disk) = (viewVersion, blocks, store, disk);
        (_spilled, _read) = (BlockBuffers.ForSpills(blocks.BlockBytes), BlockBuffers.ForReads(blocks.BlockBytes));
    }

    /// <summary>Spills that may be under way.</summary>
    public int SpillsAtOnce => _spilled.Count;

    /// <summary>Bytes of all buffers.</summary>
    public static long BufferBytes(long blockBytes) => (BlockBuffers.ForSpills((int)blockBytes).Count + BlockBuffers.ForReads((int)blockBytes).Count) * blockBytes;

    /// <param name="reply">Sends an answer to the coordinator; from any thread.</param>
    /// <param name="submit">Hands work to the stage's thread, and waits while that has much to do.</param>
    public void Start(Action<Wire.StepReply> reply, Action<StageWork> submit) => (_reply, _submit) = (reply, submit);

    /// <summary>All that is on disk now, in messages for the coordinator. Whatever changes afterwards is replied.</summary>
    public IEnumerable<Wire.StepReply> Announce() => _store.Follow(OnChanged).Chunk(KeysAtOnce).Select(keys => StepReplies.Kept(_viewVersion, kept: keys, dropped: []));

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
            if (!_disk.Reader.TryPost(() => Read(restore))) End(restore);
        }
    }

    /// <summary>A block of a restore has been read. On the stage's thread.</summary>
    /// <param name="isOpen">False: the view is over.</param>
    public void PutBack(StageWork.PutBack read, bool isOpen)
    {
        var restore = read.Of;
        restore.Failed = restore.Failed || !isOpen || !_blocks.TryCopyIn(read.Block, read.Bytes);
        if (!restore.Failed) restore.Count++;
        _read.Return(read.Bytes);
    }

    /// <summary>All of a restore that could be read is back. On the stage's thread.</summary>
    public void End(Restore restore)
    {
        _restores.TryRemove(restore.Id, out _);
        _reply(StepReplies.Restored(_viewVersion, restore.Id, restore.Count));
    }

    /// <summary>The view is over. What is spilled is still written; nothing more is read.</summary>
    public void Close() => _over.Cancel();

    bool TrySpill(int block, BlockKey key)
    {
        if (!_spilled.TryTake(out var bytes)) return false;
        if (_blocks.TryCopyOut(block, bytes) && _disk.Writer.TryPost(() => Write(key, bytes))) return true;
        _spilled.Return(bytes);
        return false;
    }

    void Write(BlockKey key, byte[] bytes)
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
                if (!TryRead(restore, block, key)) break;
        }
        finally
        {
            _submit(new StageWork.EndRestore(restore));
        }
    }

    /// <returns>False if the block is not there, or the view is over.</returns>
    bool TryRead(Restore restore, int block, BlockKey key)
    {
        if (!_read.TryTake(_over.Token, out var bytes)) return false;
        var isThere = false;
        try
        {
            isThere = _store.TryGet(key, bytes);
        }
        finally
        {
            if (!isThere) _read.Return(bytes);
        }
        if (isThere) _submit(new StageWork.PutBack(restore, block, bytes));
        return isThere;
    }

    void OnChanged(StoreChange change) => _reply(StepReplies.Kept(
        _viewVersion, kept: change.Kept is { } kept ? [kept] : [], dropped: change.Dropped is { } dropped ? [dropped] : []));
}

/// <summary>Blocks to be read, and how far that is.</summary>
sealed class Restore(ulong id, IReadOnlyList<(int Block, BlockKey Key)> blocks)
{
    public ulong Id => id;

    public IReadOnlyList<(int Block, BlockKey Key)> Blocks => blocks;

    /// <summary>So many are back, from the first on.</summary>
    public int Count { get; set; }

    /// <summary>No more will be.</summary>
    public bool Failed { get; set; }
}
