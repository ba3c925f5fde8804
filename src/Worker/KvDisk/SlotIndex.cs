using System.Numerics;
using LlamaCluster.Primitives;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>
/// Which key is in which slot of the disk, and in what order the slots were last used. It takes at most <see cref="MostBytesPerSlot"/> bytes for each slot,
/// full or not, however many there are. Not safe for concurrent use.
/// </summary>
sealed class SlotIndex
{
    public const int MostBytesPerSlot = 64;

    const int None = -1;

    struct Slot
    {
        public PrefixCacheKey Key;
        public int NextInBucket;
        public int Newer;
        public int Older;
        public bool IsUsed;
    }

    // Keys are hashes, so their own bits choose the bucket. There are at least half as many buckets as slots, and no more than slots.
    int[] _buckets = [];
    Slot[] _slots = [];
    int _newest = None;
    int _oldest = None;

    /// <summary>Slots with a key.</summary>
    public int Count { get; private set; }

    /// <summary>Keys, the most recently used first.</summary>
    public IEnumerable<PrefixCacheKey> Keys => Slots.Select(KeyOf);

    /// <summary>Slots with a key, the most recently used first.</summary>
    public IEnumerable<int> Slots
    {
        get
        {
            for (var slot = _newest; slot != None; slot = _slots[slot].Older) yield return slot;
        }
    }

    /// <summary>The least recently used slot; null if there is none.</summary>
    public int? Oldest => _oldest == None ? null : _oldest;

    /// <summary>Makes room for slots with numbers below <paramref name="slotCount"/>.</summary>
    public void Grow(int slotCount)
    {
        if (slotCount <= _slots.Length) return;
        Array.Resize(ref _slots, slotCount);
        var buckets = (int)(BitOperations.RoundUpToPowerOf2((uint)slotCount + 1) / 2);
        if (buckets <= _buckets.Length) return;
        _buckets = new int[buckets];
        Array.Fill(_buckets, None);
        for (var slot = 0; slot < _slots.Length; slot++)
            if (_slots[slot].IsUsed) LinkInBucket(slot);
    }

    public int? Find(PrefixCacheKey key)
    {
        if (_buckets.Length == 0) return null;
        for (var slot = _buckets[BucketOf(key)]; slot != None; slot = _slots[slot].NextInBucket)
            if (_slots[slot].Key == key) return slot;
        return null;
    }

    public PrefixCacheKey KeyOf(int slot) => _slots[slot].Key;

    /// <summary>The slot, which had no key, has one from now on, and was used just now. No other slot may have that key.</summary>
    public void Add(PrefixCacheKey key, int slot)
    {
        (_slots[slot].Key, _slots[slot].IsUsed) = (key, true);
        LinkInBucket(slot);
        LinkAsNewest(slot);
        Count++;
    }

    /// <summary>The slot has no key any more.</summary>
    public void Remove(int slot)
    {
        var before = _buckets[BucketOf(_slots[slot].Key)];
        if (before == slot) _buckets[BucketOf(_slots[slot].Key)] = _slots[slot].NextInBucket;
        else
        {
            while (_slots[before].NextInBucket != slot) before = _slots[before].NextInBucket;
            _slots[before].NextInBucket = _slots[slot].NextInBucket;
        }
        Unlink(slot);
        _slots[slot].IsUsed = false;
        Count--;
    }

    /// <summary>The slot was used just now.</summary>
    public void Use(int slot)
    {
        if (_newest == slot) return;
        Unlink(slot);
        LinkAsNewest(slot);
    }

    int BucketOf(PrefixCacheKey key) => (int)((uint)key.Low & (uint)(_buckets.Length - 1));

    void LinkInBucket(int slot)
    {
        ref var first = ref _buckets[BucketOf(_slots[slot].Key)];
        (_slots[slot].NextInBucket, first) = (first, slot);
    }

    void LinkAsNewest(int slot)
    {
        (_slots[slot].Older, _slots[slot].Newer) = (_newest, None);
        if (_newest == None) _oldest = slot;
        else _slots[_newest].Newer = slot;
        _newest = slot;
    }

    void Unlink(int slot)
    {
        var (older, newer) = (_slots[slot].Older, _slots[slot].Newer);
        if (older == None) _oldest = newer;
        else _slots[older].Newer = newer;
        if (newer == None) _newest = older;
        else _slots[newer].Older = older;
    }
}
