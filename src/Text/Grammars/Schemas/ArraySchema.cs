using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>Arrays: elements by their places, then any number of further ones.</summary>
static class ArraySchema
{
    internal static readonly Expression Open = SchemaValues.Lexeme(new Expression.Literal("["), SchemaValues.Space);
    internal static readonly Expression Close = SchemaValues.Lexeme(SchemaValues.Space, new Expression.Literal("]"));
    internal static readonly Expression Nothing = SchemaValues.Lexeme(new Expression.Literal("["), SchemaValues.Space, new Expression.Literal("]"));

    public static Expression Make(SchemaFacts facts, NotFacts nots, SchemaGrammar grammar)
    {
        if (nots.Values.Any(value => value.ValueKind == JsonValueKind.Array)) throw facts.Parts[0].Refuse("'not' of an array cannot be enforced");
        var (least, most, places) = (0, (int?)null, 0);
        foreach (var part in facts.Parts)
        {
            least = Math.Max(least, part.Count("minItems") ?? 0);
            if (part.Count("maxItems") is { } limit) most = Math.Min(most ?? int.MaxValue, limit);
            places = Math.Max(places, part.List("prefixItems")?.Length ?? 0);
            if (part.Find("items") is { ValueKind: JsonValueKind.Array })
                throw part.Refuse("'items' must be one schema; a list of them is 'prefixItems' since 2020-12");
            if (least > GrammarLimits.Repetitions || most is > GrammarLimits.Repetitions and not int.MaxValue)
                throw part.Refuse($"'minItems' and 'maxItems' can be enforced up to {GrammarLimits.Repetitions}");
        }
        if (!facts.Parts.Any(part => SchemaKeywords.TypesOf(part).HasFlag(JsonTypes.Array))) return grammar.AnyArray();
        if (most < least) return Expression.Never;
        var further = SchemaFacts.Of(SchemasAt(facts, int.MaxValue), grammar.References);
        Expression?[] first = [.. Enumerable.Range(0, Math.Min(places, most ?? places)).Select(place => grammar.Value(SchemasAt(facts, place)))];
        // Where no further element is possible, the elements with places are all.
        if (further.IsNever) most = Math.Min(most ?? int.MaxValue, first.Length);
        return most < least ? Expression.Never
            : Network(first!, further.IsNever || most == first.Length ? Expression.Never : grammar.Value(further), least, most, grammar.Budget);
    }

    /// <param name="first">Elements with a place of their own.</param>
    /// <param name="further">Elements behind those.</param>
    public static Expression Network(IReadOnlyList<Expression> first, Expression further, int least, int? most, WorkBudget budget)
    {
        // Places: 0 the start; then for each number of elements, where one may come and where one has ended; last the end.
        var counted = Math.Max(first.Count, Math.Max(least, most ?? 0));
        budget.Spend(counted * 400L);
        budget.Allocate(counted * 200L);
        int Element(int i) => 1 + i;
        int Behind(int i) => 2 + counted + i;
        var end = 3 + (2 * counted);
        var steps = new List<(int, Expression?, int)>();
        if (least == 0) steps.Add((0, Nothing, end));
        if (most != 0) steps.Add((0, Open, Element(0)));
        for (var i = 0; i <= counted; i++)
        {
            var isLast = i == counted;
            if (!isLast || most is null) steps.Add((Element(i), i < first.Count ? first[i] : further, Behind(isLast ? i : i + 1)));
            if (i > 0 || isLast)
            {
                if (i >= least) steps.Add((Behind(i), Close, end));
                if (!isLast || most is null) steps.Add((Behind(i), SchemaValues.Comma, Element(i)));
            }
        }
        return new Expression.Network(end + 1, steps);
    }

    /// <summary>What the element at a place must be, of each of the schemas.</summary>
    static IEnumerable<SchemaPart> SchemasAt(SchemaFacts facts, int place)
    {
        foreach (var part in facts.Parts)
        {
            if (part.List("prefixItems") is { } places && place < places.Length) yield return places[place];
            else if (part.Find("items") is { } items) yield return part.Inner(items, "items");
        }
    }
}
