using System.Text.Json;
using System.Text.Json.Nodes;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>The narrower meaning that schemas have here, where they leave open what people mean.</summary>
static class NarrowMeaning
{
    /// <summary>The types that "type" leaves, null where it is missing; and the types that other keywords are about.</summary>
    public static (JsonTypes? Said, JsonTypes Typical) TypesOf(SchemaFacts facts)
    {
        var (said, typical) = ((JsonTypes?)null, JsonTypes.None);
        foreach (var part in facts.Parts)
        {
            typical |= SchemaKeywords.TypesOf(part);
            if (SchemaCheck.TypesOf(part) is { } types) said = (said ?? JsonTypes.All) & types;
        }
        return (said, typical);
    }

    /// <summary>An object has no other properties than those that are named, unless a schema says something of others, or names none.</summary>
    public static bool IsClosed(SchemaFacts facts) =>
        facts.Parts.Any(part => part.Find("properties") is not null || part.Find("required") is not null)
        && !facts.Parts.Any(part => part.Find("additionalProperties") is not null || part.Find("unevaluatedProperties") is not null);

    /// <summary>The facts, with a schema that says their narrower meaning in keywords.</summary>
    public static SchemaFacts Of(SchemaFacts facts, SchemaReferences references)
    {
        // With alternatives it is not known yet what is named.
        if (facts.Alternatives.Count > 0 || facts.Parts.Count == 0) return facts;
        var schema = new JsonObject();
        if (TypesOf(facts) is (null, not JsonTypes.None and var typical))
        {
            (JsonTypes Type, string Name)[] names =
            [
                (JsonTypes.Object, "object"), (JsonTypes.Array, "array"), (JsonTypes.String, "string"), (JsonTypes.Number, "number"),
            ];
            schema["type"] = new JsonArray([.. names.Where(name => typical.HasFlag(name.Type)).Select(name => (JsonNode)name.Name)]);
        }
        if (IsClosed(facts))
        {
            var named = facts.Parts.SelectMany(part => part.Map("properties").Select(property => property.Name).Concat(ObjectSchema.Required(part))).Distinct();
            schema["properties"] = new JsonObject(named.Select(name => KeyValuePair.Create(name, (JsonNode?)true)));
            var patterns = facts.Parts.SelectMany(part => part.Map("patternProperties").Select(property => property.Name)).Distinct();
            schema["patternProperties"] = new JsonObject(patterns.Select(name => KeyValuePair.Create(name, (JsonNode?)true)));
            schema["additionalProperties"] = false;
        }
        return facts.And(SchemaFacts.Of([new SchemaPart(JsonSerializer.SerializeToElement(schema), $"{facts.Parts[0].Path}#narrow")], references));
    }
}
