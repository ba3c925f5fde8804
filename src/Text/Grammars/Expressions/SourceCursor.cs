using System.Globalization;
using System.Text;
using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Expressions;

/// <summary>Reads a source from its start to its end.</summary>
sealed class SourceCursor(string text)
{
    public int Position { get; private set; }

    public bool AtEnd => Position >= text.Length;

    /// <summary>The next character; '\0' at the end.</summary>
    public char Next => AtEnd ? '\0' : text[Position];

    public bool StartsWith(string expected) => text.AsSpan(Position).StartsWith(expected, StringComparison.Ordinal);

    public bool TryTake(char expected)
    {
        if (AtEnd || text[Position] != expected) return false;
        Position++;
        return true;
    }

    public bool TryTake(string expected)
    {
        if (!StartsWith(expected)) return false;
        Position += expected.Length;
        return true;
    }

    public string TakeWhile(Func<char, bool> wanted)
    {
        var start = Position;
        while (!AtEnd && wanted(text[Position])) Position++;
        return text[start..Position];
    }

    /// <summary>Takes a whole character, also one of two UTF-16 units.</summary>
    public int TakeCharacter()
    {
        if (AtEnd) throw Wrong("ends too early");
        if (!Rune.TryGetRuneAt(text, Position, out var rune)) throw Wrong("has half a surrogate pair");
        Position += rune.Utf16SequenceLength;
        return rune.Value;
    }

    public int TakeHex(int digits)
    {
        var written = text.AsSpan(Position, Math.Min(digits, text.Length - Position));
        if (written.Length < digits || !int.TryParse(written, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) || value > 0x10FFFF)
            throw Wrong($"needs {digits} hexadecimal digits of a character here");
        Position += digits;
        return value;
    }

    /// <summary>A count of repetitions; null where there is no digit.</summary>
    public int? TakeCount()
    {
        var digits = TakeWhile(char.IsAsciiDigit);
        if (digits.Length == 0) return null;
        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count > GrammarLimits.Repetitions)
            throw GrammarException.Limit($"{Place}: {digits[..Math.Min(digits.Length, 12)]} repetitions", GrammarLimits.Repetitions);
        return count;
    }

    /// <summary>Behind "{": "3}", "3,}", ",3}" or "3,5}".</summary>
    public (int Least, int? Most) TakeBounds()
    {
        var least = TakeCount();
        var most = TryTake(',') ? TakeCount() : least;
        if (!TryTake('}') || (least is null && most is null)) throw Wrong("has a '{' without counts; write \\{ for the character");
        if (most < least) throw Wrong($"has the bounds {{{least},{most}}}, which no count meets");
        return (least ?? 0, most);
    }

    public GrammarException Wrong(string what) => new($"{Place}: it {what}");

    string Place => $"character {Position + 1}";
}
