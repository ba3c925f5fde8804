using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>A property that an object may or must have, in its place.</summary>
readonly record struct ObjectProperty(string Name, Expression Value, bool IsRequired);

/// <summary>Further properties, any number of them: pairs of what their names and their values are.</summary>
readonly record struct FurtherProperties(IReadOnlyList<(Expression Name, Expression Value)> Kinds);

/// <summary>Objects: properties in the order of the schema, then further ones.</summary>
sealed class ObjectSchema
{
    /// <summary>Patterns of names. A name may match several at once, and each combination has values of its own.</summary>
    const int MostPatterns = 4;

    internal static readonly Expression Open = SchemaValues.Lexeme(new Expression.Literal("{"), SchemaValues.Space);
    internal static readonly Expression Close = SchemaValues.Lexeme(SchemaValues.Space, new Expression.Literal("}"));
    internal static readonly Expression Nothing = SchemaValues.Lexeme(new Expression.Literal("{"), SchemaValues.Space, new Expression.Literal("}"));

    readonly SchemaFacts _facts;
    readonly NotFacts _nots;
    readonly SchemaGrammar _grammar;
    readonly List<string> _names = [];
    readonly List<(SchemaPart Part, ILookup<string, SchemaPart> Named)> _properties = [];
    readonly HashSet<string> _required = [];
    readonly List<(SchemaPart Of, SchemaPart Value, CharacterAutomaton Names)> _patterns = [];

    ObjectSchema(SchemaFacts facts, NotFacts nots, SchemaGrammar grammar)
    {
        (_facts, _nots, _grammar) = (facts, nots, grammar);
        var known = new HashSet<string>();
        foreach (var part in facts.Parts)
        {
            var count = part.Find("properties") is { ValueKind: JsonValueKind.Object } listed ? listed.GetPropertyCount() : 0;
            grammar.Budget.Spend(count * 2_000L);
            grammar.Budget.Allocate(count * (300 + (part.Path.Length * 2L)));
            var properties = part.Map("properties").ToList();
            _properties.Add((part, properties.ToLookup(property => property.Name, property => property.Part)));
            foreach (var (name, _) in properties)
                if (known.Add(name)) _names.Add(name);
            foreach (var (pattern, value) in part.Map("patternProperties")) _patterns.Add((part, value, StringSchema.OfPattern(part, pattern, grammar.Budget)));
        }
        foreach (var part in facts.Parts)
            foreach (var name in Required(part))
            {
                _required.Add(name);
                if (known.Add(name)) _names.Add(name);
            }
        if (_patterns.Count > MostPatterns) throw _patterns[0].Of.Refuse($"'patternProperties' has {_patterns.Count} patterns; the most is {MostPatterns}");
    }

    public static Expression Make(SchemaFacts facts, NotFacts nots, SchemaGrammar grammar)
    {
        if (nots.Values.Any(value => value.ValueKind == JsonValueKind.Object)) throw facts.Parts[0].Refuse("'not' of an object cannot be enforced");
        if (!facts.Parts.Any(part => SchemaKeywords.TypesOf(part).HasFlag(JsonTypes.Object)) && nots.Names.Count == 0) return grammar.AnyObject();
        return new ObjectSchema(facts, nots, grammar).Make();
    }

    /// <summary>Objects of these properties. Every place says how far it is, and whether a comma comes before the next property.</summary>
    public static Expression Network(IReadOnlyList<ObjectProperty> properties, FurtherProperties further)
    {
        // Places: 0 the start; then for each property i where its name may come, and where what is before it has ended; last the end.
        var count = properties.Count;
        int Name(int i) => 1 + i;
        int Behind(int i) => 2 + count + i;
        var end = 3 + (2 * count);
        var steps = new List<(int, Expression?, int)> { (0, Open, Name(0)) };
        var lastRequired = -1;
        for (var i = 0; i < count; i++)
            if (properties[i].IsRequired) lastRequired = i;
        if (lastRequired < 0) steps.Add((0, Nothing, end));
        for (var i = 0; i <= count; i++)
        {
            if (i < count)
            {
                steps.Add((Name(i), Expression.Of(SchemaValues.QuotedText(properties[i].Name), SchemaValues.Colon, properties[i].Value), Behind(i + 1)));
                if (!properties[i].IsRequired) steps.Add((Name(i), null, Name(i + 1)));
            }
            if (i < count || further.Kinds.Count > 0) steps.Add((Behind(i), SchemaValues.Comma, Name(i)));
            if (i > lastRequired) steps.Add((Behind(i), Close, end));
        }
        foreach (var (name, value) in further.Kinds) steps.Add((Name(count), Expression.Of(name, SchemaValues.Colon, value), Behind(count)));
        return new Expression.Network(end + 1, steps);
    }

    public static IEnumerable<string> Required(SchemaPart part)
    {
        if (part.Find("required") is not { } required) return [];
        if (required.ValueKind != JsonValueKind.Array
            || required.EnumerateArray().Any(name => name.ValueKind != JsonValueKind.String)) throw part.Refuse("'required' must be a list of names");
        return required.EnumerateArray().Select(SchemaValues.TextOf);
    }

    Expression Make()
    {
        var properties = new List<ObjectProperty>();
        var names = _facts.Parts.Where(part => part.Find("propertyNames") is not null).Select(part =>
            part.Inner(part.Find("propertyNames")!.Value, "propertyNames")).ToList();
        foreach (var name in _names)
        {
            _grammar.Budget.Spend(10_000);
            var isRequired = _required.Contains(name);
            var isAllowed = !_nots.Names.Contains(name) && names.All(part => IsNameOf(part, name));
            if (!isAllowed && isRequired) return Expression.Never;
            if (isAllowed) properties.Add(new ObjectProperty(name, _grammar.Value(SchemasOf(name)), isRequired));
        }
        var further = Further(names);
        CheckCounts(properties, further.Kinds.Count > 0);
        return Network(properties, further);
    }

    /// <summary>What a named property must be: by its name, by patterns, or else as a further one, of each of the schemas.</summary>
    IEnumerable<SchemaPart> SchemasOf(string name)
    {
        foreach (var (part, named) in _properties)
        {
            var isNamed = named.Contains(name);
            foreach (var value in named[name]) yield return value;
            foreach (var (of, value, names) in _patterns.Where(pattern => pattern.Of.Path == part.Path && pattern.Names.Accepts(name)))
            {
                yield return value;
                isNamed = true;
            }
            if (!isNamed && Additional(part) is { } additional) yield return additional;
        }
    }

    static SchemaPart? Additional(SchemaPart part)
    {
        if (part.Find("additionalProperties") is { } additional) return part.Inner(additional, "additionalProperties");
        if (part.Find("unevaluatedProperties") is not { } rest || rest.ValueKind is JsonValueKind.True) return null;
        if (rest.ValueKind is JsonValueKind.False
            && !part.Schema.EnumerateObject().Any(property => property.Name is "allOf" or "anyOf" or "oneOf" or "not" or "$ref"))
            return part.Inner(rest, "unevaluatedProperties");
        throw part.Refuse("'unevaluatedProperties' can only be enforced where it is false, or true, beside no other schemas");
    }

    /// <summary>Further properties by the patterns that their names match.</summary>
    FurtherProperties Further(List<SchemaPart> names)
    {
        var isOpen = _grammar.IsExact || !NarrowMeaning.IsClosed(_facts);
        var kinds = new List<(Expression, Expression)>();
        var known = _names.Concat(_nots.Names).ToList();
        for (var matched = 0; matched < 1 << _patterns.Count; matched++)
        {
            if (matched == 0 && !isOpen) continue;
            var values = new List<SchemaPart>();
            foreach (var part in _facts.Parts)
            {
                var ofPart = _patterns.Index().Where(pattern => (matched >> pattern.Index & 1) == 1 && pattern.Item.Of.Path == part.Path).Select(pattern =>
                    pattern.Item.Value).ToList();
                if (ofPart.Count > 0) values.AddRange(ofPart);
                else if (Additional(part) is { } additional) values.Add(additional);
            }
            var facts = SchemaFacts.Of(values, _grammar.References);
            if (facts.IsNever || NamesOf(matched, known, names) is not { } name) continue;
            kinds.Add((name, _grammar.Value(facts)));
        }
        return new FurtherProperties(kinds);
    }

    /// <summary>Names that match these patterns and no others, and are none of the known ones. Null where there are none.</summary>
    Expression? NamesOf(int matched, List<string> known, List<SchemaPart> names)
    {
        if (_patterns.Count == 0 && known.Count == 0 && names.Count == 0) return SchemaValues.AnyString;
        var found = StringSchema.Automaton([], _grammar.Budget);
        foreach (var (index, pattern) in _patterns.Index())
            found = (matched >> index & 1) == 1 ? found.And(pattern.Names, _grammar.Budget) : found.Except(pattern.Names, _grammar.Budget);
        if (known.Count > 0) found = found.Except(StringSchema.Literals(known, _grammar.Budget), _grammar.Budget);
        foreach (var part in names) found = found.And(StringSchema.Automaton([CheckedName(part)], _grammar.Budget), _grammar.Budget);
        return found.IsEmpty ? null : new Expression.Recognised(ByteEncoding.Encode(found, CharacterEncoding.JsonString, _grammar.Budget));
    }

    bool IsNameOf(SchemaPart part, string name) => StringSchema.Automaton([CheckedName(part)], _grammar.Budget).Accepts(name);

    static SchemaPart CheckedName(SchemaPart part)
    {
        if (part.Schema.ValueKind != JsonValueKind.Object
            || part.Schema.EnumerateObject().Any(property => property.Name is not ("type" or "pattern" or "format" or "minLength" or "maxLength")))
            throw part.Refuse("'propertyNames' can only be enforced with 'pattern', 'format', 'minLength' and 'maxLength'");
        return part;
    }

    /// <summary>Properties are not counted: a bound must follow from which there are.</summary>
    void CheckCounts(List<ObjectProperty> properties, bool hasFurther)
    {
        foreach (var part in _facts.Parts)
        {
            if (part.Count("minProperties") > properties.Count(property => property.IsRequired))
                throw part.Refuse("'minProperties' cannot be enforced beyond the number of required properties");
            if (part.Count("maxProperties") is { } most && (hasFurther || most < properties.Count))
                throw part.Refuse("'maxProperties' cannot be enforced below the number of properties that there may be");
        }
    }
}
