using LlamaCluster.Worker.KvDisk;
using static LlamaCluster.Worker.Tests.KvDisk.StoreFiles;

namespace LlamaCluster.Worker.Tests.KvDisk;

public sealed class KvStoreTests : IDisposable
{
    readonly StoreFiles _files = new();

    [Fact]
    public void Blocks_AfterAnotherStart_AreThereInEveryBitAndTheOrderOfTheirUse()
    {
        _files.With(10, store =>
        {
            foreach (var number in Enumerable.Range(1, 5)) Assert.True(Put(store, number));
            store.Use([Key(3), Key(1)]);
        });
        _files.With(10, store =>
        {
            Assert.Equal([Key(1), Key(3), Key(5), Key(4), Key(2)], store.Follow(_ => { }));
            Assert.All(Enumerable.Range(1, 5), number => Assert.True(Has(store, number)));
            Assert.False(Has(store, 6));
        });
    }

    [Fact]
    public void Put_WhereAllSlotsAreFull_GivesUpWhatWasNotUsedForLongest()
    {
        List<StoreChange> changes = [];
        _files.With(3, store =>
        {
            store.Follow(changes.Add);
            foreach (var number in new[] { 1, 2, 3 }) Put(store, number);
            Assert.True(Has(store, 1));
            Put(store, 4);
            Put(store, 3);   // there already: told again
            Put(store, 5);
            Assert.Equal([false, false, true, true, true], new[] { 1, 2, 3, 4, 5 }.Select(number => Has(store, number)));
        });
        Assert.Equal(["+1", "+2", "+3", "-2", "+4", "+3", "-1", "+5"], changes.Select(Text));
        _files.With(3, store => Assert.Equal(3, Count(store)));
    }

    /// <summary>
    /// A crash between any two bytes that are written while a slot is filled anew: the old block or the new one is there, or none, but never another.
    /// </summary>
    [Fact]
    public void Write_TornAtEveryByte_GivesBackNoWrongBlock()
    {
        _files.With(1, store => Put(store, 1));
        var before = File.ReadAllBytes(_files.Segment());
        _files.With(1, store => Put(store, 2));
        var after = File.ReadAllBytes(_files.Segment());
        var layout = new SegmentLayout(BlockBytes);
        // In the order of writing: the entry is cleared, then the block is written, then its entry.
        List<(long At, byte Value)> writes =
        [
            .. Enumerable.Range(0, SlotEntry.Size).Select(i => ((long)SegmentLayout.Page + i, (byte)0)),
            .. Enumerable.Range(0, BlockBytes).Select(i => (layout.Blocks + i, after[layout.Blocks + i])),
            .. Enumerable.Range(0, SlotEntry.Size).Select(i => ((long)SegmentLayout.Page + i, after[SegmentLayout.Page + i])),
        ];
        var torn = (byte[])before.Clone();
        var (old, filled) = (0, 0);
        foreach (var (at, value) in writes)
        {
            File.WriteAllBytes(_files.Segment(), torn);
            _files.With(1, store =>
            {
                if (Has(store, 1)) old++;
                if (Has(store, 2)) filled++;
                Assert.True(Put(store, 3) && Has(store, 3), "a store that was torn takes no blocks");
            });
            torn[at] = value;
        }
        Assert.Equal(after, torn);
        Assert.InRange(old, 1, SlotEntry.Size);   // for as long as its entry is whole
        Assert.Equal(0, filled);
    }

    [Fact]
    public void Segment_CutOffAtAnyLength_GivesBackNoWrongBlock()
    {
        _files.With(3, store => { foreach (var number in new[] { 1, 2, 3 }) Put(store, number); });
        var whole = File.ReadAllBytes(_files.Segment());
        var layout = new SegmentLayout(BlockBytes);
        int[] lengths =
        [
            0, 1, 63, 64, 4095, 4096, 4096 + 63, 4096 + 64, 4096 + 65,
            (int)layout.Blocks, (int)layout.Blocks + 1, (int)layout.OffsetOf(1), (int)layout.OffsetOf(2) + 299,
        ];
        foreach (var length in lengths)
        {
            File.WriteAllBytes(_files.Segment(), whole[..length]);
            _files.With(3, store =>
            {
                Assert.Equal(length >= layout.OffsetOf(1), Has(store, 1));
                Assert.False(Has(store, 3));
                Assert.True(Put(store, 4) && Has(store, 4));
            });
        }
    }

    [Fact]
    public void Block_WithAnyBitFlipped_IsGivenUp()
    {
        _files.With(2, store =>
        {
            Put(store, 1);
            Put(store, 2);
        });
        var whole = File.ReadAllBytes(_files.Segment());
        var layout = new SegmentLayout(BlockBytes);
        var places = Enumerable.Range(0, 64)
            .Concat(Enumerable.Range(SegmentLayout.Page, SlotEntry.Size))
            .Concat(Enumerable.Range((int)layout.Blocks, BlockBytes));
        foreach (var place in places)
        {
            var damaged = (byte[])whole.Clone();
            damaged[place] ^= (byte)(1 << (place % 8));
            File.WriteAllBytes(_files.Segment(), damaged);
            _files.With(2, store =>
            {
                List<StoreChange> changes = [];
                var known = store.Follow(changes.Add).Contains(Key(1));
                Assert.False(Has(store, 1));
                Assert.Equal(known ? ["-1"] : [], changes.Select(Text));   // what was said to be there is said to be there no longer
                Assert.Equal(place >= 64, Has(store, 2));                  // behind a damaged head nothing is believed
            });
        }
    }

    [Fact]
    public void Entry_AtAnotherSlotOrOfAnotherSegment_IsNone()
    {
        _files.With(2, store =>
        {
            Put(store, 1);
            Put(store, 2);
        });
        var bytes = File.ReadAllBytes(_files.Segment());
        var layout = new SegmentLayout(BlockBytes);
        bytes.AsSpan(SegmentLayout.Page, SlotEntry.Size).CopyTo(bytes.AsSpan(SegmentLayout.Page + SlotEntry.Size));
        bytes.AsSpan((int)layout.Blocks, BlockBytes).CopyTo(bytes.AsSpan((int)layout.OffsetOf(1)));
        File.WriteAllBytes(_files.Segment(), bytes);
        _files.With(2, store => Assert.Equal([Key(1)], store.Follow(_ => { })));
    }

    [Fact]
    public void Folder_OverAnyUse_TakesNoMoreThanItMay()
    {
        using var folder = _files.OpenFolder(BytesOf(7));
        var random = new Random(1);
        for (var round = 0; round < 6; round++)
        {
            using var store = _files.Open(folder, shard: "abc"[round % 3].ToString());
            for (var i = 0; i < 20; i++)
            {
                Put(store, random.Next(30));
                Assert.InRange(_files.SegmentBytes, 0, folder.Bytes);
                Assert.InRange(folder.Used, _files.SegmentBytes, folder.Bytes);
            }
            Assert.Equal(7, Count(store));   // other shards have made room
        }
    }

    [Fact]
    public void Store_OfAShardThatComesBack_HasWhatOthersLeftOfIt()
    {
        using var folder = _files.OpenFolder(3 * BytesOf(2));
        foreach (var shard in "abc")
            using (var store = _files.Open(folder, shard.ToString()))
                foreach (var number in new[] { 1, 2 }) Put(store, number);
        using (var again = _files.Open(folder, "a")) Assert.Equal(2, Count(again));
        using (var more = _files.Open(folder, "d")) Put(more, 1);   // b was opened the longest ago
        Assert.Equal([2, 0, 2], "abc".Select(shard =>
        {
            using var store = _files.Open(folder, shard.ToString());
            return Count(store);
        }));
    }

    [Fact]
    public void Store_OpenedWithLessRoom_IsCutOff()
    {
        _files.With(8, store => { foreach (var number in Enumerable.Range(1, 8)) Put(store, number); });
        _files.With(3, store =>
        {
            Assert.Equal(3, Count(store));
            Assert.InRange(_files.SegmentBytes, 0, BytesOf(3));
            Assert.True(Put(store, 9) && Has(store, 9));
            Assert.InRange(_files.SegmentBytes, 0, BytesOf(3));
        });
    }

    [Fact]
    public void Store_WithRoomForNoBlock_SaysSoAndKeepsNothing()
    {
        using var folder = _files.OpenFolder(1000);
        using var store = _files.Open(folder);
        Assert.False(Put(store, 1));
        Assert.Contains("--kv-disk: nothing is kept", _files.Log.ToString());
    }

    [Fact]
    public void Segment_OfAnotherKindOfBlocks_IsEmpty()
    {
        _files.With(3, store => Put(store, 1));
        Directory.CreateDirectory(Path.GetDirectoryName(_files.Segment("b"))!);
        File.Copy(_files.Segment(), _files.Segment("b"));
        using var folder = _files.OpenFolder(BytesOf(10));
        using var store = _files.Open(folder, "b");
        Assert.Equal(0, Count(store));
        Assert.True(Put(store, 2) && Has(store, 2));
    }

    /// <summary>A place at which the system takes no more bytes: the store goes on with those that it has.</summary>
    [Fact]
    public void Put_WhereTheDiskIsFull_UsesOldSlots()
    {
        if (!OperatingSystem.IsLinux()) return;
        var slots = new SegmentLayout(BlockBytes).Slots;
        Directory.CreateDirectory(Path.GetDirectoryName(_files.Segment())!);
        File.CreateSymbolicLink(_files.Segment().Replace("000000", "000001"), "/dev/full");
        using var folder = _files.OpenFolder(long.MaxValue);
        using var store = _files.Open(folder);
        for (var number = 0; number < slots; number++) Assert.True(Put(store, number));
        Assert.True(Put(store, slots));
        Assert.Equal((slots, false, true), (Count(store), Has(store, 0), Has(store, slots)));
        Assert.Contains("A KV block cannot be written", _files.Log.ToString());
    }

    public void Dispose() => _files.Dispose();

    static string Text(StoreChange change)
    {
        var number = (change.Kept ?? change.Dropped)!.Value.High >> 64;
        return change.Kept is null ? $"-{number}" : $"+{number}";
    }
}
