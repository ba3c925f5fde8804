using System.Buffers.Binary;
using System.IO.Hashing;
using LlamaCluster.Primitives;
using Microsoft.Win32.SafeHandles;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>Where things stand in a segment of one shard.</summary>
/// <param name="BlockBytes">One KV block over all layers of the shard.</param>
readonly record struct SegmentLayout(int BlockBytes)
{
    /// <summary>Bytes that a segment has at most, unless one block is larger. Few files, and one of another shard frees much at a time.</summary>
    const long MostBytes = 256L << 20;

    const int MostSlots = 4096;

    /// <summary>What storage reads and writes at a time. Everything begins at a multiple of it.</summary>
    public const int Page = 4096;

    /// <summary>Bytes from one block to the next. Blocks of layers without attention have none, and a place nevertheless.</summary>
    public long Stride => Whole(Math.Max(1, BlockBytes));

    public int Slots => (int)Math.Clamp(MostBytes / Stride, 1, MostSlots);

    public int TableBytes => Slots * SlotEntry.Size;

    /// <summary>Where the first block begins, behind the header's page and the table.</summary>
    public long Blocks => Whole(Page + TableBytes);

    public long OffsetOf(int slot) => Blocks + (slot * Stride);

    static long Whole(long bytes) => (bytes + Page - 1) / Page * Page;
}

/// <summary>What a segment's table says of one of its slots: 64 bytes.</summary>
/// <param name="Hash">XXH3 (128 bits) of the block.</param>
/// <param name="Used">The greater, the more recently it was used. From 1.</param>
readonly record struct SlotEntry(PrefixCacheKey Key, UInt128 Hash, ulong Used)
{
    public const int Size = 64;

    const int HashAt = PrefixCacheKey.Size;
    const int UsedAt = HashAt + 16;
    const int SumAt = UsedAt + sizeof(ulong);

    /// <summary>Null if there is none: the slot was never filled, or was given up, or its entry is damaged.</summary>
    /// <param name="seed">An entry at any other place is none.</param>
    public static SlotEntry? Read(ReadOnlySpan<byte> bytes, long seed)
    {
        var used = BinaryPrimitives.ReadUInt64LittleEndian(bytes[UsedAt..]);
        if (used == 0 || BinaryPrimitives.ReadUInt64LittleEndian(bytes[SumAt..]) != XxHash3.HashToUInt64(bytes[..SumAt], seed)) return null;
        return new SlotEntry(PrefixCacheKey.Read(bytes), BinaryPrimitives.ReadUInt128LittleEndian(bytes[HashAt..]), used);
    }

    public void Write(Span<byte> bytes, long seed)
    {
        Key.Write(bytes);
        BinaryPrimitives.WriteUInt128LittleEndian(bytes[HashAt..], Hash);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[UsedAt..], Used);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[SumAt..], XxHash3.HashToUInt64(bytes[..SumAt], seed));
    }
}

/// <summary>
/// A file with many KV blocks of one shard: a page with the header, a table of <see cref="SlotEntry"/>, then slots of one block each. A block is written
/// before its entry, and its entry is cleared before another block is. Nothing is synced: whatever a crash leaves half-written has another hash than
/// its entry says. Safe for concurrent use, as long as one thread at a time writes to a slot.
/// </summary>
sealed class SegmentFile : IDisposable
{
    /// <summary>Of the file's form, and of what the kernels write into a block: to be raised when either changes.</summary>
    const uint Version = 1;

    const int HeaderBytes = 64;
    const int HeaderSumAt = HeaderBytes - sizeof(ulong);

    readonly SafeFileHandle _file;
    readonly SegmentLayout _layout;
    readonly int _number;

    SegmentFile(SafeFileHandle file, SegmentLayout layout, int number) => (_file, _layout, _number) = (file, layout, number);

    public long Length => RandomAccess.GetLength(_file);

    /// <summary>Opens a segment, or makes it. What is no segment of this layout is made empty.</summary>
    /// <param name="shard">What the blocks are of.</param>
    /// <param name="number">Its place among the shard's segments.</param>
    /// <exception cref="IOException">It cannot be read or written.</exception>
    public static SegmentFile Open(string path, ShardIdentity shard, SegmentLayout layout, int number)
    {
        var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, FileOptions.RandomAccess);
        try
        {
            var (header, found) = (Header(shard, layout), new byte[HeaderBytes]);
            if (!TryRead(file, found, 0) || !found.AsSpan().SequenceEqual(header))
            {
                RandomAccess.SetLength(file, 0);
                RandomAccess.Write(file, header, 0);
            }
            return new SegmentFile(file, layout, number);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The entries of all slots.</summary>
    public SlotEntry?[] ReadTable()
    {
        var bytes = new byte[_layout.TableBytes];
        var length = (int)Math.Clamp(Length - SegmentLayout.Page, 0, bytes.Length);
        if (!TryRead(_file, bytes.AsSpan(0, length), SegmentLayout.Page)) return new SlotEntry?[_layout.Slots];
        var entries = new SlotEntry?[_layout.Slots];
        for (var slot = 0; slot < entries.Length; slot++) entries[slot] = SlotEntry.Read(bytes.AsSpan(slot * SlotEntry.Size, SlotEntry.Size), SeedOf(slot));
        return entries;
    }

    public SlotEntry? ReadEntry(int slot)
    {
        Span<byte> bytes = stackalloc byte[SlotEntry.Size];
        return TryRead(_file, bytes, EntryAt(slot)) ? SlotEntry.Read(bytes, SeedOf(slot)) : null;
    }

    public void WriteEntry(int slot, SlotEntry entry)
    {
        Span<byte> bytes = stackalloc byte[SlotEntry.Size];
        entry.Write(bytes, SeedOf(slot));
        RandomAccess.Write(_file, bytes, EntryAt(slot));
    }

    public void ClearEntry(int slot)
    {
        Span<byte> bytes = stackalloc byte[SlotEntry.Size];
        bytes.Clear();
        RandomAccess.Write(_file, bytes, EntryAt(slot));
    }

    public void WriteBlock(int slot, ReadOnlySpan<byte> block) => RandomAccess.Write(_file, block, _layout.OffsetOf(slot));

    /// <returns>Whether it has the hash.</returns>
    public bool TryReadBlock(int slot, UInt128 hash, Span<byte> block) => TryRead(_file, block, _layout.OffsetOf(slot)) && HashOf(block) == hash;

    public static UInt128 HashOf(ReadOnlySpan<byte> block) => XxHash128.HashToUInt128(block);

    /// <summary>Cuts off all slots but the first ones.</summary>
    public void Shorten(int slots) => RandomAccess.SetLength(_file, _layout.OffsetOf(slots));

    public void Dispose() => _file.Dispose();

    /// <summary>"LCKVSEG", a zero, version, slots, bytes of a block, the shard, and a hash of these.</summary>
    static byte[] Header(ShardIdentity shard, SegmentLayout layout)
    {
        var header = new byte[HeaderBytes];
        "LCKVSEG\0"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(12), layout.Slots);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(16), layout.BlockBytes);
        shard.Hash.CopyTo(header, 24);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(HeaderSumAt), XxHash3.HashToUInt64(header.AsSpan(0, HeaderSumAt)));
        return header;
    }

    static bool TryRead(SafeFileHandle file, Span<byte> destination, long offset)
    {
        while (!destination.IsEmpty)
        {
            var count = RandomAccess.Read(file, destination, offset);
            if (count == 0) return false;
            offset += count;
            destination = destination[count..];
        }
        return true;
    }

    static long EntryAt(int slot) => SegmentLayout.Page + (slot * (long)SlotEntry.Size);

    long SeedOf(int slot) => ((long)_number << 32) | (uint)slot;
}
