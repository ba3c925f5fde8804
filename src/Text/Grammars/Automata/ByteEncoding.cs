namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>How characters are written as bytes.</summary>
enum CharacterEncoding
{
    /// <summary>As they are, in UTF-8.</summary>
    Plain,

    /// <summary>
    /// Between the quotes of a JSON string, which are added: quote, backslash and control characters by their escapes (the short ones, or \u00XX for
    /// control characters), all others as they are. JSON's optional escapes of other characters are not among them, except \/.
    /// </summary>
    JsonString,
}

/// <summary>Makes lexemes, which read bytes, of automata that read characters.</summary>
sealed class ByteEncoding
{
    readonly CharacterAutomaton _characters;
    readonly CharacterEncoding _encoding;
    readonly WorkBudget _budget;
    readonly List<int[]> _rows = [];
    readonly List<bool> _finals = [];
    readonly Dictionary<(int Bytes, int Target), int> _continuations = [];
    readonly int[] _asciiClasses;
    readonly int _first;

    ByteEncoding(CharacterAutomaton characters, CharacterEncoding encoding, WorkBudget budget)
    {
        (_characters, _encoding, _budget) = (characters, encoding, budget);
        _asciiClasses = [.. Enumerable.Range(0, 0x80).Select(characters.Classes.ClassOf)];
        if (encoding is CharacterEncoding.JsonString)
        {
            Add(false)['"'] = 1;
            _first = 1;
        }
        for (var state = 0; state < characters.StateCount; state++) Add(encoding is CharacterEncoding.Plain && characters.IsFinal(state));
        for (var state = 0; state < characters.StateCount; state++) Fill(state);
        if (encoding is CharacterEncoding.Plain) return;
        Add(true);
        for (var state = 0; state < characters.StateCount; state++)
            if (characters.IsFinal(state)) _rows[_first + state]['"'] = _rows.Count - 1;
    }

    /// <param name="characters">Accepts at least one text.</param>
    public static TableLexeme Encode(CharacterAutomaton characters, CharacterEncoding encoding, WorkBudget budget)
    {
        budget.Spend(10_000);
        budget.Allocate(3_000);
        var made = new ByteEncoding(characters, encoding, budget);
        return new TableLexeme(made._rows, made._finals, budget);
    }

    int[] Add(bool final)
    {
        if (_rows.Count == GrammarLimits.States) throw GrammarException.Limit("an expression needs too many states", GrammarLimits.States);
        _budget.Spend(600);
        _budget.Allocate(1_100);
        var row = new int[256];
        row.AsSpan().Fill(-1);
        _rows.Add(row);
        _finals.Add(final);
        return row;
    }

    void Fill(int state)
    {
        var row = _rows[_first + state];
        _budget.Spend((_characters.Classes.Intervals * 2L) + 500);
        for (var character = 0; character < 0x80; character++)
            if (_encoding is CharacterEncoding.Plain || !NeedsEscape(character)) row[character] = Target(state, character);
        for (var lead = 0xC2; lead <= 0xF4 && GoesOnBeyondAscii(state); lead++)
        {
            var (bytes, first) = lead < 0xE0 ? (1, (lead & 0x1F) << 6) : lead < 0xF0 ? (2, (lead & 0x0F) << 12) : (3, (lead & 0x07) << 18);
            row[lead] = Continue(state, bytes, first, least: bytes switch { 1 => 0x80, 2 => 0x800, _ => 0x10000 });
        }
        if (_encoding is CharacterEncoding.JsonString) row['\\'] = Escape(state);
    }

    bool GoesOnBeyondAscii(int state)
    {
        var classes = _characters.Classes;
        for (var interval = classes.Intervals - 1; interval >= 0; interval--)
        {
            if (_characters.Next(state, classes.ClassOfInterval(interval)) >= 0) return true;
            if (classes.StartOf(interval) <= 0x80) break;
        }
        return false;
    }

    static bool NeedsEscape(int character) => character is < 0x20 or '"' or '\\';

    int Target(int state, int character)
    {
        var c = character < 0x80 ? _asciiClasses[character] : _characters.Classes.ClassOf(character);
        return _characters.Next(state, c) is >= 0 and var next ? _first + next : -1;
    }

    /// <summary>The state after a lead byte: the code points from <paramref name="first"/> on differ in the <paramref name="bytes"/> bytes to come.</summary>
    /// <param name="least">The lowest code point that may be written with so many bytes.</param>
    int Continue(int state, int bytes, int first, int least)
    {
        if (SoleTarget(state, first, first + (1 << (6 * bytes)) - 1, least, out var target)) return target < 0 ? -1 : Continuation(bytes, target);
        var row = Add(false);
        var number = _rows.Count - 1;
        for (var i = 0; i < 64; i++)
        {
            var from = first + (i << (6 * (bytes - 1)));
            row[0x80 + i] = bytes > 1 ? Continue(state, bytes - 1, from, least) : IsValid(from, least) ? Target(state, from) : -1;
        }
        if (row.AsSpan().ContainsAnyExcept(-1)) return number;
        // Nothing was added behind it that it would lead to.
        _rows.RemoveAt(number);
        _finals.RemoveAt(number);
        return -1;
    }

    /// <summary>Reads this many bytes, whichever they are.</summary>
    int Continuation(int bytes, int target)
    {
        if (bytes == 0) return target;
        if (_continuations.TryGetValue((bytes, target), out var known)) return known;
        var next = Continuation(bytes - 1, target);
        Add(false).AsSpan(0x80, 64).Fill(next);
        return _continuations[(bytes, target)] = _rows.Count - 1;
    }

    /// <summary>Whether all code points of a range lead to one state. Those that may not be written so lead nowhere.</summary>
    bool SoleTarget(int state, int first, int last, int least, out int target)
    {
        target = -1;
        if (!IsValid(first, least) || !IsValid(last, least)) return last < least || first > 0x10FFFF || (first >= 0xD800 && last <= 0xDFFF);
        var classes = _characters.Classes;
        var at = Target(state, first);
        for (var interval = classes.IntervalOf(first) + 1; interval < classes.Intervals && classes.StartOf(interval) <= last; interval++)
        {
            _budget.Spend(5);
            var next = _characters.Next(state, classes.ClassOfInterval(interval));
            if ((next < 0 ? -1 : _first + next) != at) return false;
        }
        target = at;
        return true;
    }

    static bool IsValid(int codePoint, int least) => codePoint >= least && codePoint is <= 0x10FFFF and not (>= 0xD800 and <= 0xDFFF);

    /// <summary>The state after a backslash; -1 where no character that is escaped may follow.</summary>
    int Escape(int state)
    {
        ReadOnlySpan<(char Written, int Character)> shorts = [('"', '"'), ('\\', '\\'), ('/', '/'), ('b', 8), ('f', 12), ('n', 10), ('r', 13), ('t', 9)];
        var row = new int[256];
        row.AsSpan().Fill(-1);
        foreach (var (written, character) in shorts) row[written] = Target(state, character);
        row['u'] = UnicodeEscape(state);
        if (!row.AsSpan().ContainsAnyExcept(-1)) return -1;
        row.CopyTo(Add(false), 0);
        return _rows.Count - 1;
    }

    /// <summary>The state after \u, where 00 and two digits of a control character follow.</summary>
    int UnicodeEscape(int state)
    {
        int[] high = [-1, -1];
        for (var first = 0; first < 2; first++)
        {
            var targets = Enumerable.Range(first * 16, 16).Select(character => Target(state, character)).ToArray();
            if (targets.All(target => target < 0)) continue;
            var row = Add(false);
            high[first] = _rows.Count - 1;
            for (var digit = 0; digit < 16; digit++)
                row["0123456789abcdef"[digit]] = row["0123456789ABCDEF"[digit]] = targets[digit];
        }
        if (high is [-1, -1]) return -1;
        var third = Add(false);
        (third['0'], third['1']) = (high[0], high[1]);
        var number = _rows.Count - 1;
        for (var zero = 0; zero < 2; zero++)
        {
            Add(false)['0'] = number;
            number = _rows.Count - 1;
        }
        return number;
    }
}
