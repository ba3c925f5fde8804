using System.Numerics;

namespace LlamaCluster.Text.Tokenization.Merging;

/// <summary>Which two tokens become which third, and in what order: the list of merges as a hash table with open addressing.</summary>
sealed class MergeTable
{
    readonly Slot[] _slots;
    readonly int _shift;

    public MergeTable(int mergeCount)
    {
        var capacity = BitOperations.RoundUpToPowerOf2((uint)mergeCount * 3 / 2 + 2);
        _slots = new Slot[capacity];
        _shift = 64 - BitOperations.Log2(capacity);
    }

    /// <summary>False if the pair is there already.</summary>
    public bool TryAdd(int left, int right, uint rank, int merged)
    {
        ref var slot = ref Find(Pair(left, right));
        if (!slot.IsFree) return false;
        slot = new Slot(Pair(left, right), rank, merged);
        return true;
    }

    public bool TryFind(int left, int right, out uint rank, out int merged)
    {
        ref readonly var slot = ref Find(Pair(left, right));
        rank = slot.Rank;
        merged = slot.Merged;
        return !slot.IsFree;
    }

    ref Slot Find(ulong pair)
    {
        var mask = _slots.Length - 1;
        for (var at = (int)(pair * 0x9E3779B97F4A7C15 >> _shift); ; at = (at + 1) & mask)
        {
            ref var slot = ref _slots[at];
            if (slot.IsFree || slot.Pair == pair) return ref slot;
        }
    }

    static ulong Pair(int left, int right) => (ulong)(uint)left << 32 | (uint)right;

    // No merge makes the token that it is made of, so a pair (0, 0) that becomes 0 marks a free slot.
    readonly record struct Slot(ulong Pair, uint Rank, int Merged)
    {
        public bool IsFree => Pair == 0 && Merged == 0;
    }
}
