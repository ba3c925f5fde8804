using System.Text;

namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>
/// Text in which every character stands for itself in a JSON string: no quote, no backslash, no control character, whole characters only. Most tokens
/// are plain, so masks for strings are made of a few sets of plain tokens and a walk over the others.
/// </summary>
static class PlainText
{
    /// <summary>How many characters a plain text has; null where it is not plain.</summary>
    public static int? Characters(ReadOnlySpan<byte> text)
    {
        var count = 0;
        while (!text.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(text, out var rune, out var width) != System.Buffers.OperationStatus.Done || rune.Value is < 0x20 or '"' or '\\') return null;
            text = text[width..];
            count++;
        }
        return count;
    }
}

/// <summary>
/// A JSON string with its quotes, of so many characters (Unicode code points). Any escape of JSON is accepted; one of half a surrogate pair
/// is not, since no text has such a thing.
/// </summary>
/// <param name="most">Null: any number.</param>
sealed class StringLexeme(int least, int? most) : Lexeme
{
    /// <summary>More than an answer can have.</summary>
    const int Unbounded = 1 << 24;

    const int Opening = 0;
    const int Closed = 1;
    const int FirstOfBody = 2;
    const int Dead = -1;

    static readonly UInt128 Family = UInt128.One;
    static readonly int[][] Table = BuildTable();

    readonly int _least = Math.Min(least, Unbounded);
    readonly int? _most = most >= Unbounded ? null : most;

    /// <summary>Places in a string: between two characters, or within the bytes or the escape of one.</summary>
    enum Place
    {
        Between, One, Two, Three, AfterE0, AfterED, AfterF0, AfterF4, Escape, Hex4, Hex3, Hex2, Hex1, AfterD, High2, High1, LowEscape, LowU, Low4, Low3, Count,
    }

    public override int Start => Opening;

    public override int Next(int state, byte value)
    {
        if (state < FirstOfBody) return state == Opening && value == '"' ? StateOf(Place.Between, 0) : Dead;
        var (place, count) = Parse(state);
        if (value == '"' && place is Place.Between) return count >= _least ? Closed : Dead;
        if (place is Place.Between && count == _most) return Dead;
        var next = Table[(int)place][value];
        if (next < 0) return Dead;
        return next == (int)Place.Between ? StateOf(Place.Between, Counted(count + 1)) : StateOf((Place)next, count);
    }

    public override bool IsFinal(int state) => state == Closed;

    public override bool GoesOn(int state) => state != Closed;

    public override LexemeKey MaskKey(int state, int longest)
    {
        // A body is told apart by how many characters it needs and may still have, as far as one token can reach.
        var (place, count) = state == Closed ? (Place.Count, 0) : state == Opening ? (Place.Count, 0) : Parse(state);
        var needs = Math.Clamp(_least - count, 0, longest + 1);
        var takes = _most is { } limit ? Math.Min(limit - count, longest + 1) : longest + 1;
        return new(Family, (((long)(state == Closed ? 1 : 0) << 62) | ((long)place << 56)) + ((long)needs << 28) + takes);
    }

    public override int? PlainCharacters(int state)
    {
        if (state < FirstOfBody) return null;
        var (place, count) = Parse(state);
        return place is not Place.Between ? null : _most is { } limit ? limit - count : int.MaxValue;
    }

    static int StateOf(Place place, int count) => FirstOfBody + (count * (int)Place.Count) + (int)place;

    static (Place Place, int Count) Parse(int state) => ((Place)((state - FirstOfBody) % (int)Place.Count), (state - FirstOfBody) / (int)Place.Count);

    /// <summary>Beyond what bounds the length, characters need not be counted.</summary>
    int Counted(int count) => _most is null ? Math.Min(count, _least) : count;

    static int[][] BuildTable()
    {
        var table = Enumerable.Range(0, (int)Place.Count).Select(_ => Enumerable.Repeat(Dead, 256).ToArray()).ToArray();
        void Set(Place from, int first, int last, Place to) => table[(int)from].AsSpan(first, last - first + 1).Fill((int)to);
        void SetDigits(Place from, string digits, Place to)
        {
            foreach (var digit in digits) Set(from, digit, digit, to);
        }
        const string hex = "0123456789abcdefABCDEF";
        Set(Place.Between, 0x20, 0x7F, Place.Between);
        Set(Place.Between, '"', '"', (Place)Dead);
        Set(Place.Between, '\\', '\\', Place.Escape);
        Set(Place.Between, 0xC2, 0xDF, Place.One);
        Set(Place.Between, 0xE1, 0xEF, Place.Two);
        Set(Place.Between, 0xE0, 0xE0, Place.AfterE0);
        Set(Place.Between, 0xED, 0xED, Place.AfterED);
        Set(Place.Between, 0xF1, 0xF3, Place.Three);
        Set(Place.Between, 0xF0, 0xF0, Place.AfterF0);
        Set(Place.Between, 0xF4, 0xF4, Place.AfterF4);
        Set(Place.One, 0x80, 0xBF, Place.Between);
        Set(Place.Two, 0x80, 0xBF, Place.One);
        Set(Place.Three, 0x80, 0xBF, Place.Two);
        Set(Place.AfterE0, 0xA0, 0xBF, Place.One);
        Set(Place.AfterED, 0x80, 0x9F, Place.One);
        Set(Place.AfterF0, 0x90, 0xBF, Place.Two);
        Set(Place.AfterF4, 0x80, 0x8F, Place.Two);
        SetDigits(Place.Escape, "\"\\/bfnrt", Place.Between);
        Set(Place.Escape, 'u', 'u', Place.Hex4);
        SetDigits(Place.Hex4, hex, Place.Hex3);
        SetDigits(Place.Hex4, "dD", Place.AfterD);
        SetDigits(Place.AfterD, "01234567", Place.Hex2);
        SetDigits(Place.AfterD, "89abAB", Place.High2);
        SetDigits(Place.Hex3, hex, Place.Hex2);
        SetDigits(Place.Hex2, hex, Place.Hex1);
        SetDigits(Place.Hex1, hex, Place.Between);
        SetDigits(Place.High2, hex, Place.High1);
        SetDigits(Place.High1, hex, Place.LowEscape);
        Set(Place.LowEscape, '\\', '\\', Place.LowU);
        Set(Place.LowU, 'u', 'u', Place.Low4);
        SetDigits(Place.Low4, "dD", Place.Low3);
        SetDigits(Place.Low3, "cdefCDEF", Place.Hex2);
        return table;
    }
}
