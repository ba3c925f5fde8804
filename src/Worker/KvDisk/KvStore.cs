using System.Globalization;
using LlamaCluster.Primitives;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>What has changed in a store.</summary>
/// <param name="Kept">There now, and not before, or asked for again.</param>
/// <param name="Dropped">There no longer.</param>
readonly record struct StoreChange(PrefixCacheKey? Kept, PrefixCacheKey? Dropped);

/// <summary>
/// The KV blocks of one shard on disk: slots of the same size in segment files. When all bytes that the folder may take are taken, the slot that was
/// not used for longest is filled anew. A block is given back only if it has the hash that was written with it; one that has not is given up. Two threads
/// may use a store at a time, one that puts and one that gets.
/// </summary>
sealed partial class KvStore : IDisposable
{
    readonly KvFolder _folder;
    readonly ShardIdentity _shard;
    readonly SegmentLayout _layout;
    readonly string _path;
    readonly ILogger _logger;

    readonly Lock _guard = new();
    readonly SlotIndex _index = new();   // guarded, as all below
    readonly List<SegmentFile> _segments = [];
    readonly Stack<int> _free = [];      // slots that were given up
    int _grown;                          // slots that there is room for on disk
    bool _mayGrow = true;
    bool _closed;
    ulong _uses;
    Action<StoreChange> _changed = _ => { };

    /// <summary>Opens what is on disk of the shard.</summary>
    /// <exception cref="IOException">It cannot be read or written.</exception>
    public KvStore(KvFolder folder, ShardIdentity shard, int blockBytes, ILogger logger)
    {
        (_folder, _shard, _logger) = (folder, shard, logger);
        _layout = new SegmentLayout(blockBytes);
        _path = folder.Use(shard).FullName;
        OpenSegments();
        if (BytesOf(1) > folder.Bytes) LogNoRoom(folder.Path, folder.Bytes, BytesOf(1));
    }

    /// <summary>From now on <paramref name="changed"/>, and nobody else, is told of changes, in order, by the thread that makes them.</summary>
    /// <returns>The keys that are there now, the most recently used first.</returns>
    public PrefixCacheKey[] Follow(Action<StoreChange> changed)
    {
        lock (_guard)
        {
            _changed = changed;
            return [.. _index.Keys];
        }
    }

    /// <summary>Writes a block, unless it is there already.</summary>
    /// <returns>Whether it is there now.</returns>
    public bool Put(PrefixCacheKey key, ReadOnlySpan<byte> block)
    {
        int slot;
        lock (_guard)
        {
            if (_closed) return false;
            if (_index.Find(key) is { } known)
            {
                _index.Use(known);
                _changed(new StoreChange(key, null));
                return true;
            }
            if (TryTakeSlot() is not { } taken) return false;
            slot = taken;
        }
        var hash = SegmentFile.HashOf(block);
        try
        {
            SegmentOf(slot).WriteBlock(Within(slot), block);
            lock (_guard)
            {
                if (_closed) return false;
                SegmentOf(slot).WriteEntry(Within(slot), new SlotEntry(key, hash, ++_uses));
                _index.Add(key, slot);
                _changed(new StoreChange(key, null));
            }
            return true;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            GiveUp(slot, e.Message);
            return false;
        }
    }

    /// <returns>Whether the block is there. One that is damaged is there no longer.</returns>
    public bool TryGet(PrefixCacheKey key, Span<byte> block)
    {
        int slot;
        lock (_guard)
        {
            if (_closed || _index.Find(key) is not { } found) return false;
            _index.Use(slot = found);
        }
        string problem;
        try
        {
            // The entry is read again: while the slot is filled anew it says something else.
            var segment = SegmentOf(slot);
            if (segment.ReadEntry(Within(slot)) is { } entry && entry.Key == key && segment.TryReadBlock(Within(slot), entry.Hash, block)) return true;
            problem = "it has another hash than it was written with";
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            problem = e.Message;
        }
        lock (_guard)
        {
            if (_closed || _index.Find(key) != slot) return false;
            LogDamaged(slot, _path, problem);
            Drop(slot);
            _free.Push(slot);
        }
        return false;
    }

    /// <summary>Blocks were used just now, the last of them most recently.</summary>
    public void Use(ReadOnlySpan<PrefixCacheKey> keys)
    {
        foreach (var key in keys)
            lock (_guard)
            {
                if (_closed || _index.Find(key) is not { } slot) continue;
                _index.Use(slot);
                TryNoteUse(slot);
            }
    }

    public void Dispose()
    {
        lock (_guard)
        {
            if (_closed) return;
            _closed = true;
            _folder.GiveBack(BytesOf(_grown) - _segments.Sum(segment => segment.Length));
            foreach (var segment in _segments) segment.Dispose();
        }
    }

    /// <summary>Bytes of so many slots, with the heads of their segments.</summary>
    long BytesOf(int slots)
    {
        var (full, rest) = Math.DivRem(slots, _layout.Slots);
        return (full * _layout.OffsetOf(_layout.Slots)) + (rest == 0 ? 0 : _layout.OffsetOf(rest));
    }

    SegmentFile SegmentOf(int slot)
    {
        lock (_guard) return _segments[slot / _layout.Slots];
    }

    int Within(int slot) => slot % _layout.Slots;

    string PathOf(int segment) => Path.Combine(_path, segment.ToString("D6", CultureInfo.InvariantCulture) + KvFolder.SegmentSuffix);

    void OpenSegments()
    {
        List<(int Slot, SlotEntry Entry)> found = [];
        long before = 0;
        for (var number = 0; new FileInfo(PathOf(number)) is { Exists: true } file; number++)
        {
            before += file.Length;
            var segment = SegmentFile.Open(PathOf(number), _shard, _layout, number);
            _segments.Add(segment);
            var slots = (int)Math.Clamp((segment.Length - _layout.Blocks + _layout.Stride - 1) / _layout.Stride, 0, _layout.Slots);
            foreach (var (slot, entry) in segment.ReadTable().Index())
                if (entry is { } its && slot < slots) found.Add(((number * _layout.Slots) + slot, its));
            _grown = (number * _layout.Slots) + slots;
        }
        _folder.GiveBack(before);
        Shrink();
        _index.Grow(_segments.Count * _layout.Slots);
        foreach (var (slot, entry) in found.Where(one => one.Slot < _grown).OrderBy(one => one.Entry.Used))
        {
            if (_index.Find(entry.Key) is { } older) Drop(older);
            _index.Add(entry.Key, slot);
            _uses = entry.Used;
        }
        var used = _index.Slots.ToHashSet();
        for (var slot = _grown - 1; slot >= 0; slot--)
            if (!used.Contains(slot)) _free.Push(slot);
    }

    /// <summary>Cuts off what does not fit any more, after other shards have gone.</summary>
    void Shrink()
    {
        if (_folder.TryTake(BytesOf(_grown), _shard)) return;
        var most = _folder.Bytes - _folder.Used;
        while (_grown > 0 && BytesOf(_grown) > most) _grown--;
        _folder.TryTake(BytesOf(_grown), _shard);
        var needed = (_grown + _layout.Slots - 1) / _layout.Slots;
        for (var number = _segments.Count - 1; number >= needed; number--)
        {
            _segments[number].Dispose();
            _segments.RemoveAt(number);
            File.Delete(PathOf(number));
        }
        if (_grown % _layout.Slots is > 0 and var slots) _segments[^1].Shorten(slots);
    }

    /// <summary>A slot to be filled: one that was given up, a new one, or the one that was not used for longest.</summary>
    int? TryTakeSlot()
    {
        if (_free.TryPop(out var free)) return free;
        if (TryGrow()) return _grown - 1;
        if (_index.Oldest is not { } oldest) return null;
        Drop(oldest);
        return oldest;
    }

    bool TryGrow()
    {
        var (bytes, taken) = (BytesOf(_grown + 1) - BytesOf(_grown), false);
        try
        {
            taken = _mayGrow && _folder.TryTake(bytes, _shard);
            if (!taken) return false;
            if (_grown == _segments.Count * _layout.Slots) _segments.Add(SegmentFile.Open(PathOf(_segments.Count), _shard, _layout, _segments.Count));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNotWritten(_path, e.Message);
            if (taken) _folder.GiveBack(bytes);
            return _mayGrow = false;
        }
        _index.Grow(_segments.Count * _layout.Slots);
        _grown++;
        return true;
    }

    /// <summary>The slot could not be written. If it was a new one the disk is full, and the store stays as large as it is.</summary>
    void GiveUp(int slot, string problem)
    {
        lock (_guard)
        {
            if (_closed) return;
            LogNotWritten(_path, problem);
            if (slot != _grown - 1 || !_mayGrow)
            {
                _free.Push(slot);
                return;
            }
            _mayGrow = false;
            _folder.GiveBack(BytesOf(_grown) - BytesOf(_grown - 1));
            _grown--;
        }
    }

    void Drop(int slot)
    {
        var key = _index.KeyOf(slot);
        _index.Remove(slot);
        try
        {
            SegmentOf(slot).ClearEntry(Within(slot));
        }
        catch (IOException e)
        {
            LogNotWritten(_path, e.Message);   // the next block there has another hash than the entry says
        }
        _changed(new StoreChange(null, key));
    }

    /// <summary>So that the order is known after a restart. Where that fails, the block only seems older.</summary>
    void TryNoteUse(int slot)
    {
        try
        {
            if (SegmentOf(slot).ReadEntry(Within(slot)) is { } entry) SegmentOf(slot).WriteEntry(Within(slot), entry with { Used = ++_uses });
        }
        catch (IOException e)
        {
            LogNotWritten(_path, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "KV block in slot {Slot} of {Path} is given up: {Problem}")]
    partial void LogDamaged(int slot, string path, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A KV block cannot be written to {Path}: {Problem}")]
    partial void LogNotWritten(string path, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "--kv-disk: nothing is kept in {Path}: its {Bytes} bytes are less than the {Needed} that one KV block of this shard takes")]
    partial void LogNoRoom(string path, long bytes, long needed);
}
