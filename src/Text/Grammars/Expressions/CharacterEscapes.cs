using System.Collections.Concurrent;
using System.Globalization;
using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Expressions;

/// <summary>What stands behind a backslash in a regular expression of ECMA-262, and means one character or a set of them.</summary>
static class CharacterEscapes
{
    static readonly Lazy<CodePoints[]> Categories = new(ReadCategories);

    /// <summary>
    /// By the beginning of their short names, categories together: each has hundreds of ranges, and an expression may name it thousands of times.
    /// </summary>
    static readonly ConcurrentDictionary<string, CodePoints> Known = new(StringComparer.Ordinal);

    static readonly ConcurrentDictionary<CodePoints, CodePoints> Complements = new();

    /// <summary>All but line ends, as "." means without the flag "s".</summary>
    public static CodePoints AnyButLineEnds { get; } = CodePoints.OfText("\n\r\u2028\u2029").Complement();

    static CodePoints Digits { get; } = CodePoints.Range('0', '9');

    static CodePoints NoDigits { get; } = Digits.Complement();

    static CodePoints Word { get; } = CodePoints.OfRanges([('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')]);

    static CodePoints NoWord { get; } = Word.Complement();

    static CodePoints Space { get; } = CodePoints.OfRanges(
        [(9, 13), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000),
            (0xFEFF, 0xFEFF)]);

    static CodePoints NoSpace { get; } = Space.Complement();

    /// <summary>Reads an escape of which the backslash has been taken.</summary>
    public static CodePoints Take(SourceCursor source)
    {
        var letter = source.TakeCharacter();
        return letter switch
        {
            'd' => Digits,
            'D' => NoDigits,
            'w' => Word,
            'W' => NoWord,
            's' => Space,
            'S' => NoSpace,
            'p' or 'P' => TakeProperty(source, letter == 'P'),
            't' => CodePoints.Of('\t'),
            'n' => CodePoints.Of('\n'),
            'v' => CodePoints.Of('\v'),
            'f' => CodePoints.Of('\f'),
            'r' => CodePoints.Of('\r'),
            '0' when !char.IsAsciiDigit(source.Next) => CodePoints.Of(0),
            'x' => CodePoints.Of(source.TakeHex(2)),
            'u' => CodePoints.Of(TakeUnicode(source)),
            'c' when char.IsAsciiLetter(source.Next) => CodePoints.Of(source.TakeCharacter() & 0x1F),
            >= '0' and <= '9' or 'k' => throw source.Wrong("has a reference back to a group (\\1, \\k), which no automaton can follow"),
            'b' or 'B' => throw source.Wrong("has a word boundary (\\b), which cannot be enforced"),
            < 128 when char.IsAsciiLetter((char)letter) => throw source.Wrong($"has the unknown escape \\{(char)letter}"),
            _ => CodePoints.Of(letter),
        };
    }

    static int TakeUnicode(SourceCursor source)
    {
        if (source.TryTake('{'))
        {
            var digits = source.TakeWhile(char.IsAsciiHexDigit);
            if (!source.TryTake('}') || !int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) || value > 0x10FFFF)
                throw source.Wrong("needs a character's number, such as \\u{1F600}, here");
            return value;
        }
        var first = source.TakeHex(4);
        if (first is < 0xD800 or > 0xDFFF) return first;
        if (first < 0xDC00 && source.TryTake("\\u")
            && source.TakeHex(4) is >= 0xDC00 and <= 0xDFFF and var second) return char.ConvertToUtf32((char)first, (char)second);
        throw source.Wrong("has half a surrogate pair");
    }

    static CodePoints TakeProperty(SourceCursor source, bool complement)
    {
        if (!source.TryTake('{')) throw source.Wrong("needs a property, such as \\p{L}, here");
        var name = source.TakeWhile(letter => letter != '}');
        if (!source.TryTake('}')) throw source.Wrong("has a \\p{ without its }");
        foreach (var prefix in (ReadOnlySpan<string>)["General_Category=", "gc="])
            if (name.StartsWith(prefix, StringComparison.Ordinal)) name = name[prefix.Length..];
        var set = Named(name) ?? throw source.Wrong("has a property other than a general category (\\p{L}, \\p{Lu}, \\p{Letter}), which is not supported");
        return complement ? Complements.GetOrAdd(set, static of => of.Complement()) : set;
    }

    static CodePoints? Named(string name)
    {
        var wanted = name switch
        {
            "Any" => "",
            "Letter" => "L",
            "Uppercase_Letter" => "Lu",
            "Lowercase_Letter" => "Ll",
            "Mark" => "M",
            "Number" => "N",
            "Decimal_Number" => "Nd",
            "Punctuation" => "P",
            "Symbol" => "S",
            "Separator" => "Z",
            "Other" => "C",
            _ => name.Length is 1 or 2 ? name : null,
        };
        if (wanted is null) return null;
        var found = Enumerable.Range(0, CategoryNames.Length).Where(category => CategoryNames[category].StartsWith(wanted, StringComparison.Ordinal)).ToList();
        return found.Count == 0
            ? null
            : Known.GetOrAdd(wanted, _ => CodePoints.OfRanges([.. found.SelectMany(category => Categories.Value[category].Ranges.ToArray())]));
    }

    /// <summary>Unicode's short names, in the order of <see cref="UnicodeCategory"/>.</summary>
    static readonly string[] CategoryNames =
    [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
        "Sm", "Sc", "Sk", "So", "Cn",
    ];

    static CodePoints[] ReadCategories()
    {
        var ranges = CategoryNames.Select(_ => new List<(int, int)>()).ToArray();
        var first = 0;
        for (var character = 1; character <= 0x110000; character++)
        {
            var before = CharUnicodeInfo.GetUnicodeCategory(character - 1);
            if (character <= 0x10FFFF && CharUnicodeInfo.GetUnicodeCategory(character) == before) continue;
            ranges[(int)before].Add((first, character - 1));
            first = character;
        }
        return [.. ranges.Select(ofCategory => CodePoints.OfRanges([.. ofCategory]))];
    }
}
