using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>How JSON is written in answers: parts that all schemas share.</summary>
static class SchemaValues
{
    /// <summary>
    /// Spaces, tabs and line feeds between two parts of a JSON value: enough for ten levels of four. A model that writes nothing else comes to an end so.
    /// </summary>
    const int MostSpace = 41;

    static readonly Expression White = new Expression.Character(CodePoints.OfText(" \n\t"));

    /// <summary>Between any two parts of a JSON value.</summary>
    public static Expression Space { get; } = new Expression.Repeat(White, 0, MostSpace);

    public static Expression Comma { get; } = Lexeme(Space, new Expression.Literal(","), Space);

    public static Expression Colon { get; } = Lexeme(Space, new Expression.Literal(":"), Space);

    public static Expression AnyString { get; } = new Expression.Recognised(new StringLexeme(0, null));

    /// <summary>
    /// A lexeme of its own, made once for all schemas, which is not joined with what stands beside it. Masks around white space are costly to find, and those
    /// of such a lexeme are found once.
    /// </summary>
    public static Expression Lexeme(params ReadOnlySpan<Expression> parts)
    {
        var budget = new WorkBudget();
        return new Expression.Recognised(ByteEncoding.Encode(ExpressionCompiler.ToAutomaton(Expression.Of(parts), budget), CharacterEncoding.Plain, budget));
    }

    /// <summary>A text of a source. Escapes of half a surrogate pair are refused, since no answer can have them.</summary>
    public static string TextOf(JsonElement text)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new GrammarException("a text has half a surrogate pair");
        }
    }

    public static string NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            throw new GrammarException("a name has half a surrogate pair");
        }
    }

    /// <summary>A text as a JSON string, with the shortest escapes where there must be some.</summary>
    public static Expression QuotedText(string text)
    {
        var written = new StringBuilder("\"");
        foreach (var character in text)
            written.Append(character switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\b' => "\\b",
                '\f' => "\\f",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                < ' ' => $"\\u{(int)character:x4}",
                _ => character.ToString(),
            });
        return new Expression.Literal(written.Append('"').ToString());
    }

    /// <summary>What the expression of a value takes, which may have as many parts as the source has characters.</summary>
    public static void Charge(JsonElement value, WorkBudget budget)
    {
        var length = JsonMarshal.GetRawUtf8Value(value).Length;
        budget.Spend(100 + (length * 20L));
        budget.Allocate(100 + (length * 20L));
    }

    /// <summary>Exactly this value, with space between its parts.</summary>
    public static Expression Exactly(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String: return QuotedText(TextOf(value));
            case JsonValueKind.Object:
                var properties = value.EnumerateObject().Select(property =>
                    Expression.Of(QuotedText(NameOf(property)), Colon, Exactly(property.Value)));
                return Enclosed(ObjectSchema.Open, [.. properties], ObjectSchema.Close, ObjectSchema.Nothing);
            case JsonValueKind.Array: return Enclosed(ArraySchema.Open, [.. value.EnumerateArray().Select(Exactly)], ArraySchema.Close, ArraySchema.Nothing);
            default: return new Expression.Literal(value.GetRawText());
        }
    }

    public static JsonTypes TypeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => JsonTypes.Object,
        JsonValueKind.Array => JsonTypes.Array,
        JsonValueKind.String => JsonTypes.String,
        JsonValueKind.Number => IsWhole(value) ? JsonTypes.Integer : JsonTypes.Fraction,
        JsonValueKind.True or JsonValueKind.False => JsonTypes.Boolean,
        _ => JsonTypes.Null,
    };

    static bool IsWhole(JsonElement number) => ExactNumber.TryParse(number.GetRawText()) is { Fraction: "" };

    /// <param name="nothing">What it is without parts.</param>
    static Expression Enclosed(Expression open, IReadOnlyList<Expression> parts, Expression close, Expression nothing)
    {
        if (parts.Count == 0) return nothing;
        var written = new List<Expression> { open };
        foreach (var (index, part) in parts.Index())
        {
            if (index > 0) written.Add(Comma);
            written.Add(part);
        }
        written.Add(close);
        return new Expression.Sequence(written);
    }
}

/// <summary>A decimal number, exactly: its sign, digits without leading zeros ("0" for none), and digits of the fraction without trailing zeros.</summary>
sealed record ExactNumber(bool IsNegative, string Whole, string Fraction)
{
    /// <summary>Digits on either side of the point. JSON can write numbers of a length that no computer has.</summary>
    const int MostDigits = 400;

    public static ExactNumber Zero { get; } = new(false, "0", "");

    public bool IsZero => Whole == "0" && Fraction.Length == 0;

    /// <summary>Null where it has too many digits.</summary>
    public static ExactNumber? TryParse(string json)
    {
        var negative = json.StartsWith('-');
        var exponentAt = json.AsSpan().IndexOfAny('e', 'E');
        var exponent = 0;
        if (exponentAt >= 0 && (!int.TryParse(json.AsSpan(exponentAt + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent)
            || exponent is < -MostDigits or > MostDigits))
            return null;
        var mantissa = (exponentAt < 0 ? json : json[..exponentAt]).TrimStart('-').Split('.');
        var (whole, fraction) = (mantissa[0], mantissa.Length > 1 ? mantissa[1] : "");
        if (whole.Length + fraction.Length > MostDigits) return null;
        if (exponent > 0)
        {
            fraction = fraction.PadRight(exponent, '0');
            (whole, fraction) = (whole + fraction[..exponent], fraction[exponent..]);
        }
        else if (exponent < 0)
        {
            whole = whole.PadLeft(1 - exponent, '0');
            (whole, fraction) = (whole[..^-exponent], whole[^-exponent..] + fraction);
        }
        whole = whole.TrimStart('0');
        var exact = new ExactNumber(negative, whole.Length == 0 ? "0" : whole, fraction.TrimEnd('0'));
        return exact.IsZero ? Zero : exact;
    }

    public int CompareTo(ExactNumber other)
    {
        if (IsNegative != other.IsNegative) return IsNegative ? -1 : 1;
        var order = Whole.Length != other.Whole.Length ? Whole.Length.CompareTo(other.Whole.Length)
            : string.CompareOrdinal(Whole, other.Whole) is not 0 and var whole ? whole : string.CompareOrdinal(Fraction, other.Fraction);
        return IsNegative ? -order : order;
    }
}
