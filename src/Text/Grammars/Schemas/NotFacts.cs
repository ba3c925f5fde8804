using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>What "not" takes away, where that can be decided: types, listed values, texts of a form, a property's name.</summary>
sealed class NotFacts
{
    readonly List<JsonElement> _values = [];
    readonly List<SchemaPart> _texts = [];
    readonly List<string> _names = [];

    /// <summary>Types that are not allowed.</summary>
    public JsonTypes Types { get; private set; }

    /// <summary>Values that are not allowed.</summary>
    public IReadOnlyList<JsonElement> Values => _values;

    /// <summary>Schemas of strings, none of which may hold.</summary>
    public IReadOnlyList<SchemaPart> Texts => _texts;

    /// <summary>Properties that are not allowed.</summary>
    public IReadOnlyList<string> Names => _names;

    /// <summary>Everything is taken away.</summary>
    public bool IsNever { get; private set; }

    public bool IsNothing => Types == JsonTypes.None && _values.Count == 0 && _texts.Count == 0 && _names.Count == 0 && !IsNever;

    public static NotFacts Of(IEnumerable<SchemaPart> nots, SchemaReferences references)
    {
        var facts = new NotFacts();
        foreach (var not in nots) facts.Read(not, references, 0);
        return facts;
    }

    void Read(SchemaPart not, SchemaReferences references, int depth)
    {
        references.Budget.Spend(5_000);
        if (depth > GrammarLimits.Depth) throw not.Refuse("'not' refers to itself without an end");
        if (not.Schema.ValueKind is JsonValueKind.False) return;
        if (not.Schema.ValueKind is not JsonValueKind.Object || !not.Schema.EnumerateObject().Any())
        {
            IsNever = true;
            return;
        }
        SchemaKeywords.Check(not, references);
        var keywords = not.Schema.EnumerateObject().Select(property => property.Name).Where(name =>
            name is not ("title" or "description" or "$comment")).Order().ToArray();
        switch (keywords)
        {
            case ["$ref"]: Read(references.Resolve(not, not.Find("$ref")!.Value), references, depth + 1); break;
            case ["anyOf"]:
                foreach (var inner in not.List("anyOf")!) Read(inner, references, depth + 1);
                break;
            case ["type"]:
                Types |= SchemaCheck.TypesOf(not)!.Value;
                break;
            case ["enum"] or ["const"] or ["const", "type"] or ["enum", "type"]:
                if (not.Find("const") is { } value) _values.Add(value);
                else _values.AddRange(not.Find("enum")!.Value.EnumerateArray());
                break;
            case ["required"] when not.Find("required") is { ValueKind: JsonValueKind.Array } required && required.GetArrayLength() == 1:
                // What is no object has all properties that are required of it, so it is not allowed either.
                Types |= JsonTypes.All & ~JsonTypes.Object;
                _names.Add(SchemaValues.TextOf(required[0]));
                break;
            case [..] when keywords.All(keyword => keyword is "type" or "pattern" or "format" or "minLength" or "maxLength"):
                if (SchemaCheck.TypesOf(not) is null) Types |= JsonTypes.All & ~JsonTypes.String;
                else if (SchemaCheck.TypesOf(not) != JsonTypes.String) throw Undecided(not);
                _texts.Add(not);
                break;
            default: throw Undecided(not);
        }
    }

    static GrammarException Undecided(SchemaPart not) =>
        not.Refuse("'not' can only be enforced for 'type', for listed values, for the form of a string, and for one name in 'required'");
}
