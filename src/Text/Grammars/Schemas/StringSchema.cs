using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>Strings: their length in characters (code points), patterns and formats.</summary>
static class StringSchema
{
    public static Expression Make(SchemaFacts facts, NotFacts nots, WorkBudget budget)
    {
        var (least, most) = Length(facts.Parts);
        if (most < least) return Expression.Never;
        var texts = nots.Values.Where(value => value.ValueKind == JsonValueKind.String).Select(SchemaValues.TextOf).ToList();
        var automaton = Form(facts.Parts, budget);
        if (automaton is null && texts.Count == 0 && nots.Texts.Count == 0) return new Expression.Recognised(new StringLexeme(least, most));

        if (automaton is null) automaton = OfLength(least, most, budget);
        else if (least > 0 || most is not null) automaton = automaton.And(OfLength(least, most, budget), budget);
        foreach (var not in nots.Texts) automaton = automaton.Except(Automaton([not], budget), budget);
        if (texts.Count > 0) automaton = automaton.Except(Literals(texts, budget), budget);
        return automaton.IsEmpty ? Expression.Never : new Expression.Recognised(ByteEncoding.Encode(automaton, CharacterEncoding.JsonString, budget));
    }

    /// <summary>The texts that meet the keywords for strings.</summary>
    public static CharacterAutomaton Automaton(IReadOnlyList<SchemaPart> parts, WorkBudget budget)
    {
        var (least, most) = Length(parts);
        var length = OfLength(least, most, budget);
        return Form(parts, budget) is { } form ? form.And(length, budget) : length;
    }

    /// <summary>Whether there are keywords for the form of a string.</summary>
    public static bool IsFormed(IReadOnlyList<SchemaPart> parts) =>
        parts.Any(part =>
            part.Find("pattern") is not null || part.Find("format") is not null || part.Find("minLength") is not null || part.Find("maxLength") is not null);

    public static CharacterAutomaton Literals(IEnumerable<string> texts, WorkBudget budget) =>
        ExpressionCompiler.ToAutomaton(Expression.AnyOf([.. texts.Select(text => new Expression.Literal(text))]), budget);

    public static CharacterAutomaton OfPattern(SchemaPart at, string pattern, WorkBudget budget)
    {
        try
        {
            return ExpressionCompiler.ToAutomaton(RegexParser.Anywhere(pattern, budget), budget);
        }
        catch (GrammarException wrong)
        {
            throw at.Refuse($"the pattern '{(pattern.Length <= 60 ? pattern : pattern[..60] + "...")}' cannot be enforced: {wrong.Message}");
        }
    }

    static (int Least, int? Most) Length(IReadOnlyList<SchemaPart> parts)
    {
        var (least, most) = (0, (int?)null);
        foreach (var part in parts)
        {
            least = Math.Max(least, part.Count("minLength") ?? 0);
            if (part.Count("maxLength") is { } limit) most = Math.Min(most ?? int.MaxValue, limit);
        }
        return (least, most);
    }

    static CharacterAutomaton OfLength(int least, int? most, WorkBudget budget)
    {
        if (least > GrammarLimits.Repetitions || most > GrammarLimits.Repetitions)
            throw GrammarException.Limit("'minLength' or 'maxLength' is too large beside a pattern, format or 'not'", GrammarLimits.Repetitions);
        return ExpressionCompiler.ToAutomaton(new Expression.Repeat(new Expression.Character(CodePoints.All), least, most), budget);
    }

    /// <summary>What patterns and formats ask for; null where there are none.</summary>
    static CharacterAutomaton? Form(IReadOnlyList<SchemaPart> parts, WorkBudget budget)
    {
        CharacterAutomaton? form = null;
        void Add(CharacterAutomaton asked) => form = form is null ? asked : form.And(asked, budget);
        foreach (var part in parts)
        {
            if (part.Find("pattern") is { } pattern)
                Add(OfPattern(part, pattern.ValueKind == JsonValueKind.String ? SchemaValues.TextOf(pattern)
                    : throw part.Refuse("'pattern' must be a text"), budget));
            if (part.Find("format") is not { } format) continue;
            var name = format.ValueKind == JsonValueKind.String ? SchemaValues.TextOf(format) : throw part.Refuse("'format' must be a text");
            if (StringFormats.Find(name) is { } known) Add(known);
            else if (StringFormats.IsDefined(name)) throw part.Refuse($"the format '{name}' cannot be enforced; {string.Join(", ", StringFormats.Names)} can");
        }
        return form;
    }
}
