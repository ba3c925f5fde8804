using System.Runtime.InteropServices;
using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>Checks a value that a schema lists ("enum", "const") by the schema's other keywords.</summary>
sealed class SchemaCheck(SchemaReferences references)
{
    /// <summary>The types that "type" names; null where it is missing.</summary>
    public static JsonTypes? TypesOf(SchemaPart part) => part.Find("type") switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } name => TypeNamed(part, name),
        { ValueKind: JsonValueKind.Array } names => names.EnumerateArray().Aggregate(JsonTypes.None, (types, name) => types | TypeNamed(part, name)),
        _ => throw part.Refuse("'type' must be the name of a type, or a list of names"),
    };

    /// <param name="listed">The value is known to be of the first so many of the lists.</param>
    public bool Meets(JsonElement value, SchemaFacts facts, int listed = 0) =>
        !facts.IsNever
        && facts.Alternatives.All(alternatives => MeetsOne(value, alternatives))
        && facts.Values.Skip(listed).All(list => IsOf(value, list.Values))
        && !facts.Nots.Any(not => Meets(value, not))
        && facts.Parts.All(part => MeetsKeywords(value, part));

    bool IsOf(JsonElement value, IReadOnlyList<JsonElement> list)
    {
        // Values that have parts may be alike for most of their length.
        var perValue = value.ValueKind is JsonValueKind.Array or JsonValueKind.Object ? 40 + (JsonMarshal.GetRawUtf8Value(value).Length * 10L) : 40;
        references.Budget.Spend(list.Count * perValue);
        return list.Any(other => JsonElement.DeepEquals(other, value));
    }

    bool Meets(JsonElement value, SchemaPart schema) => Meets(value, SchemaFacts.Of([schema], references));

    bool MeetsOne(JsonElement value, SchemaAlternatives alternatives)
    {
        var met = alternatives.Branches.Count(branch => Meets(value, branch));
        return alternatives.Keyword == "oneOf" ? met == 1 : met > 0;
    }

    bool MeetsKeywords(JsonElement value, SchemaPart part)
    {
        references.Budget.Spend(3_000);
        if (TypesOf(part) is { } types && !types.HasFlag(SchemaValues.TypeOf(value))) return false;
        return value.ValueKind switch
        {
            JsonValueKind.String => !StringSchema.IsFormed([part]) || StringSchema.Automaton([part], references.Budget).Accepts(SchemaValues.TextOf(value)),
            JsonValueKind.Number => MeetsRange(value, part),
            JsonValueKind.Array => MeetsItems(value, part),
            JsonValueKind.Object => MeetsProperties(value, part),
            _ => true,
        };
    }

    bool MeetsRange(JsonElement value, SchemaPart part)
    {
        if (SchemaKeywords.TypesOf(part) == JsonTypes.None || !SchemaKeywords.TypesOf(part).HasFlag(JsonTypes.Integer)) return true;
        var facts = SchemaFacts.Of([new SchemaPart(WithoutValues(part.Schema), part.Path)], references);
        if (ExactNumber.TryParse(value.GetRawText()) is not { } number) throw part.Refuse("a listed number has too many digits to be checked");
        // In the one spelling that bounded numbers have: without an exponent.
        var text = $"{(number.IsNegative ? "-" : "")}{number.Whole}{(number.Fraction.Length > 0 ? "." + number.Fraction : "")}";
        return ScalarSchema.Make(JsonTypes.Number, facts, NotFacts.Of([], references), references) is Expression.Recognised recognised
            && Accepts(recognised.Lexeme, text);
    }

    /// <summary>The bounds of a schema alone.</summary>
    static JsonElement WithoutValues(JsonElement schema)
    {
        var bounds = schema.EnumerateObject().Where(property =>
            property.Name is "minimum" or "maximum" or "exclusiveMinimum" or "exclusiveMaximum" or "multipleOf");
        return JsonSerializer.SerializeToElement(bounds.ToDictionary(property => property.Name, property => property.Value));
    }

    static bool Accepts(Lexeme lexeme, string text)
    {
        var state = lexeme.Start;
        foreach (var character in text)
            if ((state = lexeme.Next(state, (byte)character)) < 0) return false;
        return lexeme.IsFinal(state);
    }

    bool MeetsItems(JsonElement value, SchemaPart part)
    {
        var count = value.GetArrayLength();
        if (count < (part.Count("minItems") ?? 0) || count > (part.Count("maxItems") ?? int.MaxValue)) return false;
        var places = part.List("prefixItems") ?? [];
        foreach (var (index, item) in value.EnumerateArray().Index())
        {
            if (index < places.Length ? !Meets(item, places[index]) : part.Find("items") is { } items && !Meets(item, part.Inner(items, "items"))) return false;
        }
        return true;
    }

    bool MeetsProperties(JsonElement value, SchemaPart part)
    {
        if (part.Find("propertyNames") is not null || part.Find("unevaluatedProperties") is not null || part.Find("minProperties") is not null
            || part.Find("maxProperties") is not null)
            throw part.Refuse("a listed object cannot be checked by 'propertyNames', 'unevaluatedProperties', 'minProperties' or 'maxProperties'");
        if (part.Find("required") is { ValueKind: JsonValueKind.Array } required
            && required.EnumerateArray().Any(name => !value.TryGetProperty(SchemaValues.TextOf(name), out _))) return false;
        var patterns = part.Map("patternProperties").Select(pattern =>
            (Names: StringSchema.OfPattern(part, pattern.Name, references.Budget), pattern.Part)).ToList();
        var properties = part.Map("properties").ToLookup(known => known.Name, known => known.Part);
        references.Budget.Spend((properties.Count + value.GetPropertyCount()) * 1_000L);
        foreach (var property in value.EnumerateObject())
        {
            var name = SchemaValues.NameOf(property);
            var schemas = properties[name]
                .Concat(patterns.Where(pattern => pattern.Names.Accepts(name)).Select(pattern => pattern.Part)).ToList();
            if (schemas.Count == 0 && part.Find("additionalProperties") is { } additional) schemas.Add(part.Inner(additional, "additionalProperties"));
            if (!schemas.All(schema => Meets(property.Value, schema))) return false;
        }
        return true;
    }

    static JsonTypes TypeNamed(SchemaPart part, JsonElement name) => (name.ValueKind == JsonValueKind.String ? SchemaValues.TextOf(name) : null) switch
    {
        "object" => JsonTypes.Object,
        "array" => JsonTypes.Array,
        "string" => JsonTypes.String,
        "number" => JsonTypes.Number,
        "integer" => JsonTypes.Integer,
        "boolean" => JsonTypes.Boolean,
        "null" => JsonTypes.Null,
        _ => throw part.Refuse("'type' names a type that JSON does not have; there are object, array, string, number, integer, boolean and null"),
    };
}
