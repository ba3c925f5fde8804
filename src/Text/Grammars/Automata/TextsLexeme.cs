using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>
/// One of some texts: names of properties, constants, values of an "enum". A tree of their bytes, which is its own automaton and so takes no more to make
/// than to sort them. A state is a node; the children of a node follow each other.
/// </summary>
sealed class TextsLexeme : Lexeme
{
    readonly List<byte> _values = [];
    readonly List<int> _firstChildren = [];   // one more than there are nodes
    readonly List<bool> _finals = [];
    readonly UInt128 _family;

    /// <param name="texts">At least one, none of them empty. A text may come twice.</param>
    public TextsLexeme(IEnumerable<string> texts, WorkBudget budget)
    {
        byte[][] sorted = [.. texts.Select(Encoding.UTF8.GetBytes)];
        budget.Allocate(sorted.Length * 100L + sorted.Sum(text => (long)text.Length) * 20);
        budget.Spend(5_000 + (sorted.Length * 300L) + (sorted.Sum(text => (long)text.Length) * 40));
        Array.Sort(sorted, static (a, b) => a.AsSpan().SequenceCompareTo(b));
        AddNodes(sorted);
        _family = FamilyOf(sorted);
    }

    public override int Start => 0;

    public override long Bytes => 100 + (_values.Count * 6L);

    public override int Next(int state, byte value)
    {
        var (first, end) = (_firstChildren[state], _firstChildren[state + 1]);
        var found = CollectionsMarshal.AsSpan(_values)[first..end].BinarySearch(value);
        return found < 0 ? -1 : first + found;
    }

    public override bool IsFinal(int state) => _finals[state];

    public override bool GoesOn(int state) => _firstChildren[state] < _firstChildren[state + 1];

    public override LexemeKey MaskKey(int state, int longest) => new(_family, state);

    /// <summary>Adds nodes level by level. A node is the texts that begin alike.</summary>
    void AddNodes(byte[][] sorted)
    {
        var open = new Queue<(int First, int End, int Depth)>([(0, sorted.Length, 0)]);
        _values.Add(0);
        while (open.TryDequeue(out var node))
        {
            var (first, end, depth) = node;
            var isFinal = sorted[first].Length == depth;
            while (first < end && sorted[first].Length == depth) first++;
            _finals.Add(isFinal);
            _firstChildren.Add(_values.Count);
            while (first < end)
            {
                var (value, begun) = (sorted[first][depth], first);
                while (first < end && sorted[first][depth] == value) first++;
                _values.Add(value);
                open.Enqueue((begun, first, depth + 1));
            }
        }
        _firstChildren.Add(_values.Count);
    }

    static UInt128 FamilyOf(byte[][] sorted)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData("texts"u8);
        Span<byte> length = stackalloc byte[sizeof(int)];
        foreach (var text in sorted)
        {
            BinaryPrimitives.WriteInt32LittleEndian(length, text.Length);
            hash.AppendData(length);
            hash.AppendData(text);
        }
        return MemoryMarshal.Read<UInt128>(hash.GetHashAndReset());
    }
}
