using System.Buffers;

namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// Byte pair encoding: starts from the characters of a text and merges neighbours, the best pair first, until no rule applies.
/// n characters cost O(n log n), whatever the text: found pairs wait in a heap, and a merge adds at most two more.
/// One merger serves many texts in turn: <see cref="Begin"/>, <see cref="Append"/> each character, <see cref="Merge"/>, read
/// <see cref="Symbols"/>. Dispose it to give its memory back.
/// </summary>
ref struct PairMerger<TRule>(TRule rule) where TRule : struct, IMergeRule
{
    const int LeastSymbols = 256;

    readonly TRule _rule = rule;
    Symbol[] _symbols = [];
    MergeCandidate[] _candidates = [];
    int _count;

    /// <summary>In text order from index 0; those of length 0 are merged away.</summary>
    public readonly ReadOnlySpan<Symbol> Symbols => _symbols.AsSpan(0, _count);

    public void Begin(int maxSymbols)
    {
        _count = 0;
        if (_symbols.Length >= maxSymbols) return;
        Dispose();
        _symbols = ArrayPool<Symbol>.Shared.Rent(Math.Max(maxSymbols, LeastSymbols));
        // n - 1 pairs at first; each of at most n - 1 merges takes one away and adds two.
        _candidates = ArrayPool<MergeCandidate>.Shared.Rent(2 * _symbols.Length);
    }

    public void Append(int id, int start, int length)
    {
        _symbols[_count] = new Symbol { Id = id, Start = start, Length = length, Previous = _count - 1, Next = -1 };
        if (_count > 0) _symbols[_count - 1].Next = _count;
        _count++;
    }

    public readonly void Merge(ReadOnlySpan<byte> text)
    {
        var heap = new MergeQueue(_candidates);
        var symbols = _symbols.AsSpan(0, _count);
        for (var i = 0; i < symbols.Length - 1; i++)
            if (TryPair(text, symbols, i, i + 1, out var candidate)) heap.Append(candidate);
        heap.Order();
        while (heap.TryPop(out var best))
        {
            if (!IsCurrent(symbols, best)) continue;
            Join(symbols, best);
            ref var joined = ref symbols[best.Left];
            if (joined.Previous >= 0 && TryPair(text, symbols, joined.Previous, best.Left, out var before)) heap.Push(before);
            if (joined.Next >= 0 && TryPair(text, symbols, best.Left, joined.Next, out var after)) heap.Push(after);
        }
    }

    public readonly void Dispose()
    {
        if (_symbols.Length == 0) return;
        ArrayPool<Symbol>.Shared.Return(_symbols);
        ArrayPool<MergeCandidate>.Shared.Return(_candidates);
    }

    readonly bool TryPair(ReadOnlySpan<byte> text, ReadOnlySpan<Symbol> symbols, int left, int right, out MergeCandidate candidate)
    {
        var found = _rule.TryMerge(text, symbols[left], symbols[right], out var priority, out var id);
        candidate = found ? MergeCandidate.Of(priority, left, symbols[left].Length + symbols[right].Length, id) : default;
        return found;
    }

    // Borders only vanish. Two symbols that are together as long as the candidate's were are therefore the same two.
    static bool IsCurrent(ReadOnlySpan<Symbol> symbols, MergeCandidate candidate)
    {
        ref readonly var left = ref symbols[candidate.Left];
        return left.Length > 0 && left.Next >= 0 && left.Length + symbols[left.Next].Length == candidate.Length;
    }

    static void Join(Span<Symbol> symbols, MergeCandidate candidate)
    {
        ref var left = ref symbols[candidate.Left];
        ref var right = ref symbols[left.Next];
        left.Id = candidate.Id;
        left.Length = candidate.Length;
        left.Next = right.Next;
        right.Length = 0;
        if (left.Next >= 0) symbols[left.Next].Previous = candidate.Left;
    }
}

/// <summary>Says which neighbours become one token, and which of several pairs goes first.</summary>
interface IMergeRule
{
    /// <param name="text">The text that the symbols are stretches of.</param>
    /// <param name="priority">The pair with the least goes first; of equals, the leftmost.</param>
    /// <param name="id">The token that the two become.</param>
    bool TryMerge(ReadOnlySpan<byte> text, in Symbol left, in Symbol right, out uint priority, out int id);
}

/// <summary>
/// A stretch of the text that is one token so far; a node of a doubly linked list. Merging makes the left of two symbols
/// longer and the right one empty.
/// </summary>
struct Symbol
{
    /// <summary>-1 for a character without a token of its own.</summary>
    public int Id;

    /// <summary>In bytes of the text.</summary>
    public int Start;

    public int Length;

    /// <summary>-1 at the start.</summary>
    public int Previous;

    /// <summary>-1 at the end.</summary>
    public int Next;
}

/// <summary>A pair that may be merged: of a symbol and its right neighbour as they were when it was found.</summary>
/// <param name="Order">Priority in the upper half, index of the left symbol in the lower: the least goes first.</param>
/// <param name="Length">Of both symbols together, in bytes: another length now means that one of them has changed.</param>
readonly record struct MergeCandidate(ulong Order, int Length, int Id)
{
    public int Left => (int)(uint)Order;

    public static MergeCandidate Of(uint priority, int left, int length, int id) => new((ulong)priority << 32 | (uint)left, length, id);
}

/// <summary>A binary heap of candidates, the first to merge at the top, in memory lent by the caller.</summary>
ref struct MergeQueue(Span<MergeCandidate> memory)
{
    readonly Span<MergeCandidate> _items = memory;
    int _count;

    /// <summary>Adds without order: call <see cref="Order"/> before the first <see cref="TryPop"/>.</summary>
    public void Append(MergeCandidate candidate) => _items[_count++] = candidate;

    public void Order()
    {
        for (var at = _count / 2 - 1; at >= 0; at--) SiftDown(at, _items[at]);
    }

    public void Push(MergeCandidate candidate)
    {
        var at = _count++;
        while (at > 0)
        {
            var parent = (at - 1) / 2;
            if (_items[parent].Order <= candidate.Order) break;
            _items[at] = _items[parent];
            at = parent;
        }
        _items[at] = candidate;
    }

    public bool TryPop(out MergeCandidate first)
    {
        if (_count == 0)
        {
            first = default;
            return false;
        }
        first = _items[0];
        var last = _items[--_count];
        if (_count > 0) SiftDown(0, last);
        return true;
    }

    void SiftDown(int at, MergeCandidate candidate)
    {
        while (true)
        {
            var child = 2 * at + 1;
            if (child >= _count) break;
            if (child + 1 < _count && _items[child + 1].Order < _items[child].Order) child++;
            if (candidate.Order <= _items[child].Order) break;
            _items[at] = _items[child];
            at = child;
        }
        _items[at] = candidate;
    }
}
