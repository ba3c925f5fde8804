using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>A bound of numbers.</summary>
/// <param name="Excluded">The bound itself is not allowed.</param>
readonly record struct NumberBound(ExactNumber Value, bool Excluded);

/// <summary>Decimal numbers between bounds, as automata over their digits. Bounded numbers have no exponent.</summary>
static class NumberRange
{
    static Expression Digit { get; } = new Expression.Character(CodePoints.Range('0', '9'));

    static Expression FirstDigit { get; } = new Expression.Character(CodePoints.Range('1', '9'));

    static Expression Digits { get; } = Expression.ZeroOrMore(Digit);

    static Expression Point { get; } = new Expression.Literal(".");

    static Expression AnyWhole { get; } = Expression.AnyOf([new Expression.Literal("0"), Expression.Of(FirstDigit, Digits)]);

    static Expression AnyFraction { get; } = Expression.Optional(Expression.Of(Point, new Expression.Repeat(Digit, 1, null)));

    /// <summary>Exponents of three digits reach beyond what numbers of clients hold.</summary>
    static Expression AnyExponent { get; } = Expression.Optional(Expression.Of(
        new Expression.Character(CodePoints.OfText("eE")), Expression.Optional(new Expression.Character(CodePoints.OfText("+-"))),
        new Expression.Repeat(Digit, 1, 3)));

    public static Expression Minus { get; } = new Expression.Literal("-");

    /// <summary>Any number, as JSON writes it.</summary>
    public static Expression AnyNumber { get; } = SchemaValues.Lexeme(Expression.Optional(Minus), AnyWhole, AnyFraction, AnyExponent);

    public static Expression AnyInteger { get; } = SchemaValues.Lexeme(Expression.Optional(Minus), AnyWhole);

    /// <param name="whole">Only numbers that are written without a fraction.</param>
    /// <param name="digits">The most digits of a fraction; null: any number.</param>
    public static CharacterAutomaton Between(NumberBound? least, NumberBound? most, bool whole, int? digits, WorkBudget budget)
    {
        var zero = new NumberBound(ExactNumber.Zero, false);
        CharacterAutomaton? both = null;
        if (most is not { } high || !high.Value.IsNegative || high.Value.IsZero)
        {
            var from = least is { Value.IsNegative: false } ? least.Value : zero;
            both = Magnitudes(from, most, whole, digits, budget);
        }
        if (least is not { } low || low.Value.IsNegative)
        {
            // A negative number is at least the bound if its magnitude is at most the bound's.
            var from = most is { Value.IsNegative: true } negative ? Negate(negative) : most is { Value.IsZero: true, Excluded: true }
                ? new NumberBound(ExactNumber.Zero, true) : zero;
            var magnitudes = Magnitudes(from, least is { } bound ? Negate(bound) : null, whole, digits, budget);
            var signed = Signed(magnitudes, budget);
            both = both is null ? signed : both.Or(signed, budget);
        }
        return both ?? ExpressionCompiler.ToAutomaton(Expression.Never, budget);
    }

    static NumberBound Negate(NumberBound bound) =>
        bound with { Value = bound.Value.IsZero ? bound.Value : bound.Value with { IsNegative = !bound.Value.IsNegative } };

    static CharacterAutomaton Magnitudes(NumberBound least, NumberBound? most, bool whole, int? digits, WorkBudget budget)
    {
        var form = Expression.Of(AnyWhole, whole ? Expression.Empty : digits is { } count
            ? Expression.Optional(Expression.Of(Point, new Expression.Repeat(Digit, 1, count))) : AnyFraction);
        var found = ExpressionCompiler.ToAutomaton(form, budget).And(ExpressionCompiler.ToAutomaton(AtLeast(least), budget), budget);
        return most is { } high ? found.And(ExpressionCompiler.ToAutomaton(AtMost(high), budget), budget) : found;
    }

    /// <summary>A minus in front of what an automaton accepts.</summary>
    static CharacterAutomaton Signed(CharacterAutomaton magnitudes, WorkBudget budget)
    {
        var classes = CodePointClasses.Of([CodePoints.Of('-')], budget, out var members);
        var all = CodePointClasses.Of(classes, magnitudes.Classes, out var pairs);
        var states = Enumerable.Range(0, magnitudes.StateCount);
        budget.Allocate(states.Count() * CharacterAutomaton.StateBytes(pairs.Length));
        int[] next =
        [
            .. pairs.Select(pair => pair.Left == members[0][0] ? 1 : -1),
            .. states.SelectMany(state => pairs.Select(pair => magnitudes.Next(state, pair.Right) is >= 0 and var target ? target + 1 : -1)),
        ];
        return CharacterAutomaton.Of(all, next, [false, .. states.Select(magnitudes.IsFinal)], budget);
    }

    /// <summary>Numbers without a sign that are at least the bound.</summary>
    static Expression AtLeast(NumberBound bound)
    {
        var (whole, fraction) = (bound.Value.Whole, bound.Value.Fraction);
        var parts = new List<Expression> { Expression.Of(FirstDigit, new Expression.Repeat(Digit, whole.Length, null), AnyFraction) };
        for (var i = 0; i < whole.Length; i++)
            parts.Add(Expression.Of(new Expression.Literal(whole[..i]), Above(whole[i]),
                new Expression.Repeat(Digit, whole.Length - i - 1, whole.Length - i - 1), AnyFraction));
        for (var i = 0; i < fraction.Length; i++) parts.Add(Expression.Of(new Expression.Literal($"{whole}.{fraction[..i]}"), Above(fraction[i]), Digits));
        var more = Expression.Of(Expression.ZeroOrMore(new Expression.Literal("0")), FirstDigit, Digits);
        if (bound.Excluded) parts.Add(Expression.Of(new Expression.Literal($"{whole}.{fraction}"), more));
        else if (fraction.Length > 0) parts.Add(Expression.Of(new Expression.Literal($"{whole}.{fraction}"), Digits));
        else parts.Add(Expression.Of(new Expression.Literal(whole), AnyFraction));
        return Expression.AnyOf(parts);
    }

    /// <summary>Numbers without a sign that are at most the bound.</summary>
    static Expression AtMost(NumberBound bound)
    {
        var (whole, fraction) = (bound.Value.Whole, bound.Value.Fraction);
        var parts = new List<Expression>();
        if (whole.Length > 1) parts.Add(Expression.Of(new Expression.Repeat(Digit, 1, whole.Length - 1), AnyFraction));
        for (var i = 0; i < whole.Length; i++)
            parts.Add(Expression.Of(new Expression.Literal(whole[..i]), Below(whole[i]),
                new Expression.Repeat(Digit, whole.Length - i - 1, whole.Length - i - 1), AnyFraction));
        for (var i = 0; i < fraction.Length; i++)
        {
            // Cut off behind the point it is less, since the last digit of the bound is not 0.
            if (i > 0) parts.Add(new Expression.Literal($"{whole}.{fraction[..i]}"));
            parts.Add(Expression.Of(new Expression.Literal($"{whole}.{fraction[..i]}"), Below(fraction[i]), Digits));
        }
        if (fraction.Length > 0) parts.Add(new Expression.Literal(whole));
        if (!bound.Excluded)
        {
            var zeros = Expression.ZeroOrMore(new Expression.Literal("0"));
            parts.Add(fraction.Length > 0
                ? Expression.Of(new Expression.Literal($"{whole}.{fraction}"), zeros)
                : Expression.Of(new Expression.Literal(whole), Expression.Optional(Expression.Of(new Expression.Literal(".0"), zeros))));
        }
        return Expression.AnyOf(parts);
    }

    static Expression Above(char digit) => new Expression.Character(digit == '9' ? CodePoints.None : CodePoints.Range(digit + 1, '9'));

    static Expression Below(char digit) => new Expression.Character(digit == '0' ? CodePoints.None : CodePoints.Range('0', digit - 1));
}
