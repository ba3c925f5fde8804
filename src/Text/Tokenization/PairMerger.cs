using System.Buffers;

namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// Byte pair encoding: starts from the characters of a text and merges neighbours, the best pair first, until no rule applies. n
/// characters cost O(n log n) for any text, because found pairs wait in a priority queue and a merge adds at most two. One merger serves many
/// texts in turn: call <see cref="Begin"/>, <see cref="Append"/> for each character, <see cref="Merge"/>, then read
/// <see cref="Symbols"/>. Dispose it to return its memory.
/// </summary>
ref struct PairMerger<TRule>(TRule rule) where TRule : struct, IMergeRule
{
    const int LeastSymbols = 256;

    readonly TRule _rule = rule;
    Symbol[] _symbols = [];
    MergeCandidate[] _candidates = [];
    int _count;

    /// <summary>The symbols in text order. One of length 0 was merged into its left neighbour.</summary>
    public readonly ReadOnlySpan<Symbol> Symbols => _symbols.AsSpan(0, _count);

    public void Begin(int maxSymbols)
    {
        _count = 0;
        if (_symbols.Length >= maxSymbols) return;
        Dispose();
        _symbols = ArrayPool<Symbol>.Shared.Rent(Math.Max(maxSymbols, LeastSymbols));
        // At first there are n - 1 pairs. Each of at most n - 1 merges removes one and adds two.
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
        var queue = new MergeQueue(_candidates);
        var symbols = _symbols.AsSpan(0, _count);
        for (var i = 0; i < symbols.Length - 1; i++)
            if (TryPair(text, symbols, i, i + 1, out var candidate)) queue.Append(candidate);
        queue.Order();
        while (queue.TryPop(out var best))
        {
            if (!IsCurrent(symbols, best)) continue;
            Join(symbols, best);
            ref var joined = ref symbols[best.Left];
            if (joined.Previous >= 0 && TryPair(text, symbols, joined.Previous, best.Left, out var before)) queue.Push(before);
            if (joined.Next >= 0 && TryPair(text, symbols, best.Left, joined.Next, out var after)) queue.Push(after);
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

    // Borders between symbols only disappear. So two symbols with the candidate's joint length are the same two symbols.
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

/// <summary>Decides which neighbours become one token, and which of several pairs goes first.</summary>
interface IMergeRule
{
    /// <param name="text">The text that the symbols are parts of.</param>
    /// <param name="priority">The pair with the lowest number goes first; of equal pairs, the leftmost.</param>
    /// <param name="id">The token that the two symbols become.</param>
    bool TryMerge(ReadOnlySpan<byte> text, in Symbol left, in Symbol right, out uint priority, out int id);
}

/// <summary>
/// A part of the text that is one token so far, and a node of a doubly linked list. Merging makes the left of two symbols longer and
/// the right one empty.
/// </summary>
struct Symbol
{
    /// <summary>Id of the token; -1 for a character without a token of its own.</summary>
    public int Id;

    /// <summary>Position in the text, in bytes.</summary>
    public int Start;

    /// <summary>Length in bytes; 0 once it is merged into the symbol before.</summary>
    public int Length;

    /// <summary>Index of the symbol before; -1 at the start of the text.</summary>
    public int Previous;

    /// <summary>Index of the symbol after; -1 at the end of the text.</summary>
    public int Next;
}

/// <summary>A pair that may be merged: a symbol and its right neighbour, as they were when the pair was found.</summary>
/// <param name="Order">Priority in the upper half and index of the left symbol in the lower half; the lowest goes first.</param>
/// <param name="Length">Length of both symbols together, in bytes. If it differs from the present length, one of them has changed.</param>
readonly record struct MergeCandidate(ulong Order, int Length, int Id)
{
    public int Left => (int)(uint)Order;

    public static MergeCandidate Of(uint priority, int left, int length, int id) => new((ulong)priority << 32 | (uint)left, length, id);
}

/// <summary>A priority queue of candidates: a binary heap in memory that the caller lends, with the first to merge at the top.</summary>
ref struct MergeQueue(Span<MergeCandidate> memory)
{
    readonly Span<MergeCandidate> _items = memory;
    int _count;

    /// <summary>Adds a candidate without ordering. Call <see cref="Order"/> before the first <see cref="TryPop"/>.</summary>
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
