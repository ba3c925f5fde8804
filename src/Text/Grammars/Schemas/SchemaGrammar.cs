using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;
using LlamaCluster.Text.Grammars.Rules;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>
/// Makes rules of a JSON Schema: of the values that it accepts, written with properties in the order of the schema. What is accepted is always valid.
/// Where a schema leaves open what people mean, the narrower meaning is taken: keywords for one type mean that type where "type" is missing, and an object
/// with properties has no others unless "additionalProperties" says so.
/// </summary>
/// <param name="isExact">
/// Takes schemas as the specification says, not in the narrower meaning: for finding out whether two schemas have values in common.
/// </param>
sealed class SchemaGrammar(SchemaReferences references, bool isExact)
{
    readonly List<Expression?> _rules = [null];
    readonly Dictionary<string, int> _known = [];
    int? _anyValue;
    int? _anyObject;
    int? _anyArray;
    int _depth;

    public WorkBudget Budget => references.Budget;

    public SchemaReferences References => references;

    public bool IsExact => isExact;

    public static RuleSet OfSchema(JsonElement schema, WorkBudget budget, UnknownKeywords unknown)
    {
        var grammar = new SchemaGrammar(new SchemaReferences(schema, budget, unknown), isExact: false);
        return grammar.Build(grammar.Value([new SchemaPart(schema, "")]));
    }

    public static RuleSet OfAnyObject(WorkBudget budget)
    {
        var grammar = new SchemaGrammar(new SchemaReferences(default, budget, new UnknownKeywords()), isExact: false);
        return grammar.Build(grammar.AnyObject());
    }

    /// <param name="source">Written by <see cref="GrammarSource.OfTags"/>.</param>
    public static RuleSet OfTags(JsonElement source, WorkBudget budget, UnknownKeywords unknown)
    {
        if (source.ValueKind != JsonValueKind.Object || !source.TryGetProperty("tags", out var tags) || tags.ValueKind != JsonValueKind.Array
            || tags.GetArrayLength() == 0)
            throw new GrammarException("there must be at least one tag");
        var rules = new List<Expression>();
        var choices = new List<Expression>();
        foreach (var (index, tag) in tags.EnumerateArray().Index())
        {
            // Each schema is a document of its own, with references of its own.
            if (tag.ValueKind != JsonValueKind.Object
                || !tag.TryGetProperty("schema", out var schema)) throw new GrammarException($"tag {index} has no schema");
            var grammar = new SchemaGrammar(new SchemaReferences(schema, budget, unknown), isExact: false);
            var value = grammar.Value([new SchemaPart(schema, "")]);
            var moved = new RuleShift(rules.Count + 1);
            choices.Add(Expression.Of(Text(tag, "begin"), moved.Apply(value), Text(tag, "end")));
            rules.AddRange(grammar._rules.Select(rule => rule is null ? Expression.Never : moved.Apply(rule)));
            if (rules.Count > GrammarLimits.RuleNodes) throw GrammarException.Limit($"there are too many rules at tag {index}", GrammarLimits.RuleNodes);
        }
        var any = Expression.AnyOf(choices);
        var most = source.TryGetProperty("most", out var limit) && limit.TryGetInt32(out var count) ? count : 1;
        var separated = Expression.Of(Text(source, "separator"), any);
        var all = most == 1 ? any : Expression.Of(any, new Expression.Repeat(separated, 0, most == 0 ? null : Math.Min(most, GrammarLimits.Repetitions) - 1));
        return RuleBuilder.Build([all, .. rules], 0, budget);
    }

    static Expression Text(JsonElement of, string name) =>
        of.TryGetProperty(name, out var text) && text.ValueKind == JsonValueKind.String && text.GetString() is { Length: > 0 } found
            ? new Expression.Literal(found) : Expression.Empty;

    RuleSet Build(Expression root) => RuleBuilder.Build(Rules(root), 0, Budget);

    List<Expression> Rules(Expression root)
    {
        _rules[0] = root;
        return [.. _rules.Select(rule => rule ?? Expression.Never)];
    }

    /// <summary>Whether no value meets the facts.</summary>
    static bool IsImpossible(SchemaFacts facts, SchemaReferences references)
    {
        var left = references.Budget.BytesLeft;
        var grammar = new SchemaGrammar(references, isExact: true);
        var isImpossible = RuleBuilder.TryBuild(grammar.Rules(grammar.Value(facts)), 0, references.Budget) is null;
        references.Budget.BytesLeft = left;   // the rules are not kept
        return isImpossible;
    }

    /// <summary>A value for which all of these schemas hold.</summary>
    public Expression Value(IEnumerable<SchemaPart> schemas) => Value(SchemaFacts.Of(schemas, references));

    public Expression Value(SchemaFacts facts)
    {
        if (!facts.IsReferred) return Make(facts);
        var key = facts.KeyOf(Budget);
        if (_known.TryGetValue(key, out var rule)) return new Expression.Reference(rule);
        rule = AddRule(null);
        _known.Add(key, rule);
        _rules[rule] = Make(facts);
        return new Expression.Reference(rule);
    }

    /// <summary>Any JSON value.</summary>
    public Expression AnyValue()
    {
        if (_anyValue is { } known) return new Expression.Reference(known);
        var rule = AddRule(null);
        _anyValue = rule;
        _rules[rule] = Expression.AnyOf([AnyObject(), AnyArray(), SchemaValues.AnyString,
            ScalarSchema.Of(JsonTypes.Number | JsonTypes.Boolean | JsonTypes.Null)]);
        return new Expression.Reference(rule);
    }

    public Expression AnyObject() => new Expression.Reference(_anyObject ??= AddRule(() =>
        ObjectSchema.Network([], new([(SchemaValues.AnyString, AnyValue())]))));

    public Expression AnyArray() => new Expression.Reference(_anyArray ??= AddRule(() => ArraySchema.Network([], AnyValue(), 0, null, Budget)));

    int AddRule(Func<Expression>? make)
    {
        if (_rules.Count == GrammarLimits.RuleNodes) throw GrammarException.Limit("the schema is too large: it needs too many rules", GrammarLimits.RuleNodes);
        Budget.Spend(500);
        var rule = _rules.Count;
        _rules.Add(null);
        if (make is not null) _rules[rule] = make();
        return rule;
    }

    Expression Make(SchemaFacts facts)
    {
        if (facts.IsNever) return Expression.Never;
        if (++_depth > GrammarLimits.Depth) throw new GrammarException($"the schema is nested deeper than {GrammarLimits.Depth}", facts.Parts.Count > 0
            ? facts.Parts[0].Path : "");
        var made = facts.Alternatives.Count > 0 ? Alternatives(facts) : facts.Values.Count > 0 ? Listed(facts) : ByType(facts);
        _depth--;
        return made;
    }

    Expression Alternatives(SchemaFacts facts)
    {
        var (at, keyword, branches) = facts.Alternatives[0];
        if (branches.Count == 0) throw at.Refuse($"'{keyword}' must have at least one schema");
        var chosen = branches.Select(branch => facts.Choose(branch, references)).ToList();
        if (keyword == "oneOf" && !isExact) CheckApart(at, chosen);
        return Expression.AnyOf([.. chosen.Select(Value)]);
    }

    /// <summary>A value may be of one branch only. An automaton cannot count branches, so no two may have a value in common.</summary>
    void CheckApart(SchemaPart at, List<SchemaFacts> branches)
    {
        for (var i = 0; i < branches.Count; i++)
            for (var j = i + 1; j < branches.Count; j++)
                if (!AreApart(branches[i], branches[j]) || !AreApart(branches[j], branches[i]))
                    throw at.Refuse($"'oneOf' cannot be enforced: a value can be of its schemas {i} and {j} at once; make them differ, or use 'anyOf'");
    }

    /// <summary>What answers of one branch can be is never a value of the other.</summary>
    bool AreApart(SchemaFacts branch, SchemaFacts other) => IsImpossible(NarrowMeaning.Of(branch, references).And(other), references);

    /// <summary>The listed values that meet all other facts.</summary>
    Expression Listed(SchemaFacts facts)
    {
        var check = new SchemaCheck(references);
        var values = facts.Values[0].Values.Where(value => check.Meets(value, facts, listed: 1)).ToList();
        foreach (var value in values) SchemaValues.Charge(value, Budget);
        return Expression.AnyOf([.. values.Select(SchemaValues.Exactly)]);
    }

    Expression ByType(SchemaFacts facts)
    {
        var nots = NotFacts.Of(facts.Nots, references);
        if (nots.IsNever) return Expression.Never;
        var types = TypesOf(facts) & ~nots.Types;
        var parts = new List<Expression>();
        if (types.HasFlag(JsonTypes.Object)) parts.Add(ObjectSchema.Make(facts, nots, this));
        if (types.HasFlag(JsonTypes.Array)) parts.Add(ArraySchema.Make(facts, nots, this));
        if (types.HasFlag(JsonTypes.String)) parts.Add(StringSchema.Make(facts, nots, Budget));
        if ((types & (JsonTypes.Number | JsonTypes.Boolean | JsonTypes.Null))
            is not JsonTypes.None and var scalars) parts.Add(ScalarSchema.Make(scalars, facts, nots, references));
        return types == JsonTypes.All && facts.Parts.All(part => SchemaKeywords.TypesOf(part) == JsonTypes.None) && nots.IsNothing ? AnyValue()
            : Expression.AnyOf(parts);
    }

    JsonTypes TypesOf(SchemaFacts facts)
    {
        var (said, typical) = NarrowMeaning.TypesOf(facts);
        return said ?? (isExact || typical == JsonTypes.None ? JsonTypes.All : typical);
    }
}

/// <summary>Moves the numbers of rules, where the rules of several grammars are put together.</summary>
sealed class RuleShift(int by)
{
    public Expression Apply(Expression expression) => expression switch
    {
        Expression.Reference reference => new Expression.Reference(reference.Rule + by),
        Expression.Sequence sequence => new Expression.Sequence([.. sequence.Parts.Select(Apply)]),
        Expression.Choice choice => new Expression.Choice([.. choice.Parts.Select(Apply)]),
        Expression.Repeat repeat => repeat with { Part = Apply(repeat.Part) },
        Expression.Network network =>
            network with { Steps = [.. network.Steps.Select(step => (step.From, step.Reads is null ? null : Apply(step.Reads), step.To))] },
        _ => expression,
    };
}
