using System.Runtime.InteropServices;

namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>A set of Unicode code points, surrogates never among them. Immutable, and equal to others by content.</summary>
sealed class CodePoints : IEquatable<CodePoints>
{
    const int Most = 0x10FFFF;
    const int FirstSurrogate = 0xD800;
    const int LastSurrogate = 0xDFFF;

    static readonly CodePoints[] Ascii = [.. Enumerable.Range(0, 0x80).Select(value => new CodePoints([(value, value)]))];

    readonly (int First, int Last)[] _ranges;
    readonly int _hash;

    CodePoints((int First, int Last)[] ranges)
    {
        _ranges = ranges;
        var hash = new HashCode();
        hash.AddBytes(MemoryMarshal.AsBytes(ranges.AsSpan()));
        _hash = hash.ToHashCode();
    }

    public static CodePoints None { get; } = new([]);

    public static CodePoints All { get; } = new([(0, FirstSurrogate - 1), (LastSurrogate + 1, Most)]);

    /// <summary>Ranges in order, with gaps between them.</summary>
    public ReadOnlySpan<(int First, int Last)> Ranges => _ranges;

    public bool IsEmpty => _ranges.Length == 0;

    public static CodePoints Of(int codePoint) => codePoint < Ascii.Length ? Ascii[codePoint] : Range(codePoint, codePoint);

    public static CodePoints Range(int first, int last) => OfRanges([(first, last)]);

    public static CodePoints OfText(string characters) => OfRanges([.. characters.EnumerateRunes().Select(rune => (rune.Value, rune.Value))]);

    /// <param name="ranges">In any order; they may overlap.</param>
    public static CodePoints OfRanges(ReadOnlySpan<(int First, int Last)> ranges)
    {
        // As one number each, which is what sorts fastest.
        var sorted = new List<long>(ranges.Length + 1);
        void Add(int first, int last)
        {
            if (first <= last) sorted.Add(((long)first << 32) | (uint)last);
        }
        foreach (var (first, last) in ranges)
        {
            Add(first, Math.Min(last, FirstSurrogate - 1));
            Add(Math.Max(first, LastSurrogate + 1), Math.Min(last, Most));
        }
        sorted.Sort();
        var merged = new List<(int First, int Last)>(sorted.Count);
        foreach (var range in sorted)
        {
            var (first, last) = ((int)(range >> 32), (int)range);
            if (merged.Count > 0 && first <= merged[^1].Last + 1) merged[^1] = (merged[^1].First, Math.Max(merged[^1].Last, last));
            else merged.Add((first, last));
        }
        return new([.. merged]);
    }

    public CodePoints Complement()
    {
        var gaps = new List<(int, int)>(_ranges.Length + 1);
        var next = 0;
        foreach (var (first, last) in _ranges)
        {
            if (first > next) gaps.Add((next, first - 1));
            next = last + 1;
        }
        if (next <= Most) gaps.Add((next, Most));
        return OfRanges(CollectionsMarshal.AsSpan(gaps));
    }

    public bool Equals(CodePoints? other) => ReferenceEquals(this, other) || (other is not null && _hash == other._hash && Ranges.SequenceEqual(other.Ranges));

    public override bool Equals(object? obj) => Equals(obj as CodePoints);

    public override int GetHashCode() => _hash;
}
