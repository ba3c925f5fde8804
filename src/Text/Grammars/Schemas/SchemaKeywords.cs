using System.Collections.Frozen;
using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>A schema and where it stands, as a JSON pointer from the root.</summary>
readonly record struct SchemaPart(JsonElement Schema, string Path)
{
    /// <summary>A schema within this one. '~' and '/' are escaped as JSON pointers do.</summary>
    public SchemaPart Inner(JsonElement schema, string keyword, string? name = null)
    {
        // Each schema keeps its own path.
        if (Path.Length + (name?.Length ?? 0) > GrammarLimits.PathLength)
            throw new GrammarException($"names on the way to a schema are too long; the most is {GrammarLimits.PathLength} characters together");
        return new(schema, name is null ? $"{Path}/{keyword}"
            : $"{Path}/{keyword}/{name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}");
    }

    public JsonElement? Find(string keyword) => Schema.TryGetProperty(keyword, out var value) ? value : null;

    public GrammarException Refuse(string reason) => new(reason, Path.Length == 0 ? "/" : Path);

    /// <summary>A count, such as minLength's.</summary>
    public int? Count(string keyword)
    {
        if (Find(keyword) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= 0
            && double.IsInteger(number)) return (int)Math.Min(number, int.MaxValue);
        throw Refuse($"'{keyword}' must be a whole number, not below 0");
    }

    /// <summary>The schemas of a list, such as anyOf's.</summary>
    public SchemaPart[]? List(string keyword)
    {
        if (Find(keyword) is not { } value) return null;
        if (value.ValueKind != JsonValueKind.Array) throw Refuse($"'{keyword}' must be a list of schemas");
        var part = this;
        return [.. value.EnumerateArray().Select((schema, index) =>
            part.Inner(schema, keyword, index.ToString(System.Globalization.CultureInfo.InvariantCulture)))];
    }

    /// <summary>The schemas of an object, such as properties'.</summary>
    public IEnumerable<(string Name, SchemaPart Part)> Map(string keyword)
    {
        if (Find(keyword) is not { } value) return [];
        if (value.ValueKind != JsonValueKind.Object) throw Refuse($"'{keyword}' must be an object of schemas");
        var part = this;
        return value.EnumerateObject().Select(property => (SchemaValues.NameOf(property), part.Inner(property.Value, keyword, SchemaValues.NameOf(property))));
    }
}

/// <summary>
/// What becomes of each keyword: it is enforced, it asserts nothing, or it is refused. What stands in no list is no keyword of any version of JSON Schema or
/// OpenAPI; by the specification it asserts nothing, and it is reported, since it may be a slip.
/// </summary>
static class SchemaKeywords
{
    static readonly FrozenSet<string> Enforced = new[]
    {
        "type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties",
        "unevaluatedProperties", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "format",
        "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "unevaluatedItems", "anyOf", "oneOf", "allOf", "not", "$ref",
    }.ToFrozenSet();

    /// <summary>Keywords of some version of JSON Schema, or of OpenAPI, that would narrow what is valid.</summary>
    static readonly FrozenSet<string> Unenforced = new[]
    {
        "if", "then", "else", "contains", "minContains", "maxContains", "dependentSchemas", "dependentRequired", "dependencies", "$dynamicRef",
        "$recursiveRef", "divisibleBy", "disallow", "extends", "nullable", "requires", "minimumCanEqual", "maximumCanEqual",
    }.ToFrozenSet();

    /// <summary>
    /// They describe, or hold what others refer to. By the specification they assert nothing; additionalItems not beside an "items" of one schema, and a
    /// list there is refused.
    /// </summary>
    static readonly FrozenSet<string> Silent = new[]
    {
        "$schema", "$id", "id", "$comment", "$defs", "definitions", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary", "additionalItems",
        "title", "description", "default", "examples", "example", "deprecated",
        "readOnly", "writeOnly", "contentMediaType", "contentEncoding", "contentSchema", "discriminator", "externalDocs", "xml",
    }.ToFrozenSet();

    /// <summary>Keywords that say that a value is of a type, where "type" does not.</summary>
    static readonly (string Keyword, JsonTypes Types)[] Typical =
    [
        ("properties", JsonTypes.Object), ("required", JsonTypes.Object), ("additionalProperties", JsonTypes.Object), ("patternProperties", JsonTypes.Object),
        ("propertyNames", JsonTypes.Object), ("unevaluatedProperties", JsonTypes.Object),
        ("minProperties", JsonTypes.Object), ("maxProperties", JsonTypes.Object), ("items", JsonTypes.Array),
        ("prefixItems", JsonTypes.Array), ("minItems", JsonTypes.Array), ("maxItems", JsonTypes.Array), ("pattern", JsonTypes.String),
        ("minLength", JsonTypes.String), ("maxLength", JsonTypes.String), ("minimum", JsonTypes.Number), ("maximum", JsonTypes.Number),
        ("exclusiveMinimum", JsonTypes.Number), ("exclusiveMaximum", JsonTypes.Number), ("multipleOf", JsonTypes.Number),
    ];

    /// <summary>Refuses a schema with a keyword that cannot be enforced, and takes note of names that are no keywords.</summary>
    public static void Check(SchemaPart part, SchemaReferences references)
    {
        foreach (var property in part.Schema.EnumerateObject())
        {
            var name = SchemaValues.NameOf(property);
            if (Unenforced.Contains(name)) throw part.Refuse($"the keyword '{name}' cannot be enforced");
            if (!Enforced.Contains(name) && !Silent.Contains(name) && !name.StartsWith("x-", StringComparison.Ordinal)) references.Unknown.Add(name);
            if (name == "format" && property.Value.ValueKind == JsonValueKind.String
                && SchemaValues.TextOf(property.Value) is var format && StringFormats.IsUnknown(format))
                references.Unknown.Add($"format={format}");
        }
        Unless(part, "uniqueItems", JsonValueKind.False);
        Unless(part, "unevaluatedItems", JsonValueKind.True);
    }

    /// <summary>The types that the keywords of a schema are about.</summary>
    public static JsonTypes TypesOf(SchemaPart part)
    {
        var types = part.Find("format") is not { } format ? JsonTypes.None : ScalarSchema.TypesOfFormat(format);
        foreach (var (keyword, ofKeyword) in Typical)
            if (part.Find(keyword) is not null) types |= ofKeyword;
        return types;
    }

    static void Unless(SchemaPart part, string keyword, JsonValueKind harmless)
    {
        if (part.Find(keyword) is { } value && value.ValueKind != harmless) throw part.Refuse($"the keyword '{keyword}' cannot be enforced");
    }
}

/// <summary>A set of JSON's types. Whole numbers are a part of the numbers.</summary>
[Flags]
enum JsonTypes
{
    None = 0,
    Object = 1,
    Array = 2,
    String = 4,
    Integer = 8,
    Fraction = 16,
    Number = Integer | Fraction,
    Boolean = 32,
    Null = 64,
    All = 127,
}
