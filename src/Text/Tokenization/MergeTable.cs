using System.Numerics;
using System.Text;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tokenization;

/// <summary>Two tokens merge if the list of merges says so; the earlier in the list goes first.</summary>
readonly struct MergesByRank(MergeTable table) : IMergeRule
{
    public bool TryMerge(ReadOnlySpan<byte> text, in Symbol left, in Symbol right, out uint priority, out int id) =>
        table.TryFind(left.Id, right.Id, out priority, out id);
}

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

/// <summary>
/// Reads a list of merges, best first, as vocabulary files write it. Refuses merges of tokens that do not exist; leaves out those
/// of special tokens, which plain text never becomes.
/// </summary>
/// <param name="field">What the merges are read from, for messages.</param>
/// <param name="error">Makes an error that names the file, from a message that starts with a field.</param>
sealed class MergeTableBuilder(
    int mergeCount, TokenSpelling spelling, TokenSet tokens, string field, Func<string, ModelFormatException> error)
{
    readonly MergeTable _table = new(mergeCount);
    byte[] _raw = new byte[256];
    int _rank;

    public MergeTable Table => _table;

    /// <summary>Adds a merge in the form <c>left right</c>.</summary>
    public void Add(ReadOnlySpan<byte> pair)
    {
        var space = pair.IndexOf((byte)' ');
        if (space <= 0 || space == pair.Length - 1 || pair[(space + 1)..].Contains((byte)' '))
            throw error($"{field}[{_rank}] is {Quote(pair)}; expected two tokens with one space between them");
        Add(pair[..space], pair[(space + 1)..]);
    }

    public void Add(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        if (left.Length + right.Length > _raw.Length) _raw = new byte[2 * (left.Length + right.Length)];
        var isKnown = spelling.TryDecode(left, _raw, out var leftLength);
        isKnown &= spelling.TryDecode(right, _raw.AsSpan(leftLength), out var rightLength);
        var merged = _raw.AsSpan(0, leftLength + rightLength);
        isKnown &= tokens.Plain.TryFind(merged[..leftLength], out var leftId);
        isKnown &= tokens.Plain.TryFind(merged[leftLength..], out var rightId);
        isKnown &= tokens.Plain.TryFind(merged, out var mergedId);
        if (isKnown)
        {
            if (!_table.TryAdd(leftId, rightId, (uint)_rank, mergedId))
                throw error($"{field}[{_rank}] is {Quote(left)} and {Quote(right)}, which an earlier merge is too");
        }
        else
        {
            RefuseUnknown(left, right);
        }
        _rank++;
    }

    void RefuseUnknown(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        var names = (string[])[Encoding.UTF8.GetString(left), Encoding.UTF8.GetString(right), Encoding.UTF8.GetString([.. left, .. right])];
        if (tokens.Added.Any(token => token.IsSpecial && names.Contains(token.Written))) return;
        throw error($"{field}[{_rank}] merges {ErrorText.Quote(names[0])} and {ErrorText.Quote(names[1])}: "
            + "one of them, or what they become, is not in the vocabulary");
    }

    static string Quote(ReadOnlySpan<byte> text) => ErrorText.Quote(Encoding.UTF8.GetString(text[..Math.Min(text.Length, 200)]));
}
