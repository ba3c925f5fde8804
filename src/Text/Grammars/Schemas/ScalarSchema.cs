using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>Numbers, true, false and null.</summary>
static class ScalarSchema
{
    const int MostMultipleDigits = 20;

    public static Expression Of(JsonTypes types) =>
        Written(types, types.HasFlag(JsonTypes.Fraction) ? NumberRange.AnyNumber : NumberRange.AnyInteger, [true, false]);

    public static Expression Make(JsonTypes types, SchemaFacts facts, NotFacts nots, SchemaReferences references)
    {
        bool[] flags = [.. new[] { true, false }.Where(flag =>
            !nots.Values.Any(value => value.ValueKind == (flag ? JsonValueKind.True : JsonValueKind.False)))];
        if (nots.Values.Any(value => value.ValueKind == JsonValueKind.Null)) types &= ~JsonTypes.Null;
        var numbers = (types & JsonTypes.Number) == JsonTypes.None ? Expression.Never : Numbers(types, facts, nots, references);
        return Written(types, numbers, flags);
    }

    static Expression Written(JsonTypes types, Expression numbers, IEnumerable<bool> flags)
    {
        var parts = new List<Expression>();
        if ((types & JsonTypes.Number) != JsonTypes.None) parts.Add(numbers);
        if (types.HasFlag(JsonTypes.Boolean)) parts.AddRange(flags.Select(flag => new Expression.Literal(flag ? "true" : "false")));
        if (types.HasFlag(JsonTypes.Null)) parts.Add(new Expression.Literal("null"));
        return Expression.AnyOf(parts);
    }

    static Expression Numbers(JsonTypes types, SchemaFacts facts, NotFacts nots, SchemaReferences references)
    {
        NumberBound? least = null, most = null;
        int? digits = types.HasFlag(JsonTypes.Fraction) ? null : 0;
        foreach (var part in facts.Parts)
        {
            Raise(ref least, Bound(part, "minimum", false));
            Raise(ref least, Bound(part, "exclusiveMinimum", true));
            Lower(ref most, Bound(part, "maximum", false));
            Lower(ref most, Bound(part, "exclusiveMaximum", true));
            if (part.Find("multipleOf") is { } step) digits = Math.Min(digits ?? int.MaxValue, DigitsOf(part, step));
            var (low, high) = part.Find("format") is { ValueKind: JsonValueKind.String } format ? RangeOf(format.GetString()!) : (null, null);
            Raise(ref least, low);
            Lower(ref most, high);
        }
        var excluded = nots.Values.Where(value => value.ValueKind == JsonValueKind.Number).ToList();
        if (!types.HasFlag(JsonTypes.Integer))
            throw facts.Parts[0].Refuse("'not' of whole numbers only cannot be enforced: whole numbers may be written with a fraction");
        if (excluded.Count > 0 && digits != 0)
            throw facts.Parts[0].Refuse("'not' of a number cannot be enforced unless the type is integer: a number can be written in many ways");
        if (least is null && most is null && excluded.Count == 0 && digits is null or 0) return digits is null ? NumberRange.AnyNumber : NumberRange.AnyInteger;
        if (excluded.Count == 0 && references.Ranges.TryGetValue((least, most, digits), out var known)) return known;
        var budget = references.Budget;
        var automaton = NumberRange.Between(least, most, digits == 0, digits, budget);
        foreach (var value in excluded)
            if (ExactNumber.TryParse(value.GetRawText()) is { Fraction: "" } exact)
                automaton = automaton.Except(ExpressionCompiler.ToAutomaton(Spellings(exact), budget), budget);
        Expression made = automaton.IsEmpty ? Expression.Never : new Expression.Recognised(ByteEncoding.Encode(automaton, CharacterEncoding.Plain, budget));
        if (excluded.Count == 0) references.Ranges.Add((least, most, digits), made);
        return made;
    }

    static Expression Spellings(ExactNumber whole) => whole.IsZero
        ? Expression.AnyOf([new Expression.Literal("0"), new Expression.Literal("-0")])
        : new Expression.Literal((whole.IsNegative ? "-" : "") + whole.Whole);

    static NumberBound? Bound(SchemaPart part, string keyword, bool excluded)
    {
        if (part.Find(keyword) is not { } value) return null;
        if (value.ValueKind != JsonValueKind.Number) throw part.Refuse($"'{keyword}' must be a number");
        return ExactNumber.TryParse(value.GetRawText()) is { } exact ? new NumberBound(exact, excluded)
            : throw part.Refuse($"'{keyword}' has too many digits to be enforced");
    }

    static void Raise(ref NumberBound? least, NumberBound? bound)
    {
        if (bound is { } found && (least is not { } known || found.Value.CompareTo(known.Value) is > 0 or 0
            && (found.Excluded || found.Value.CompareTo(known.Value) > 0))) least = found;
    }

    static void Lower(ref NumberBound? most, NumberBound? bound)
    {
        if (bound is { } found && (most is not { } known || found.Value.CompareTo(known.Value) is < 0 or 0
            && (found.Excluded || found.Value.CompareTo(known.Value) < 0))) most = found;
    }

    /// <summary>1 and its tenths (0.1, 0.01...) bound the digits of a fraction. Other steps would have to be counted.</summary>
    static int DigitsOf(SchemaPart part, JsonElement step) =>
        (step.ValueKind == JsonValueKind.Number ? ExactNumber.TryParse(step.GetRawText()) : null) switch
        {
            { IsNegative: false, Whole: "1", Fraction: "" } => 0,
            { IsNegative: false, Whole: "0", Fraction: { Length: > 0 and <= MostMultipleDigits } fraction } when fraction.Trim('0') == "1" => fraction.Length,
            _ => -1,
        } is >= 0 and var digits ? digits : throw part.Refuse("'multipleOf' can only be enforced for 1, 0.1, 0.01 and so on");

    /// <summary>What a format says of the type where nothing else does. OpenAPI has some for numbers; all others are for texts.</summary>
    public static JsonTypes TypesOfFormat(JsonElement format) => (format.ValueKind == JsonValueKind.String ? format.GetString() : null) switch
    {
        "int32" or "int64" => JsonTypes.Integer,
        "float" or "double" => JsonTypes.Number,
        _ => JsonTypes.String,
    };

    /// <summary>OpenAPI's formats of numbers.</summary>
    static (NumberBound? Least, NumberBound? Most) RangeOf(string format) => format switch
    {
        "int32" => (Of(int.MinValue), Of(int.MaxValue)),
        "int64" => (Of(long.MinValue), Of(long.MaxValue)),
        _ => (null, null),   // not default, which would be two bounds without a value
    };

    static NumberBound Of(long value) => new(ExactNumber.TryParse(value.ToString(System.Globalization.CultureInfo.InvariantCulture))!, false);
}
