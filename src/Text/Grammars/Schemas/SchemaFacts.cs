using System.Text.Json;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Schemas;

/// <summary>Schemas of which one must hold ("anyOf"), or exactly one ("oneOf").</summary>
/// <param name="Keyword">"anyOf" or "oneOf".</param>
readonly record struct SchemaAlternatives(SchemaPart At, string Keyword, IReadOnlyList<SchemaPart> Branches);

/// <summary>
/// Schemas that must hold together, with references and "allOf" resolved: what a value must be. Immutable once read.
/// </summary>
sealed class SchemaFacts
{
    readonly List<SchemaPart> _parts = [];
    readonly List<SchemaAlternatives> _alternatives = [];
    readonly List<(SchemaPart At, IReadOnlyList<JsonElement> Values)> _values = [];
    readonly List<SchemaPart> _nots = [];

    /// <summary>Schemas whose other keywords must hold.</summary>
    public IReadOnlyList<SchemaPart> Parts => _parts;

    public IReadOnlyList<SchemaAlternatives> Alternatives => _alternatives;

    /// <summary>From "enum" and "const": the value is one of each list.</summary>
    public IReadOnlyList<(SchemaPart At, IReadOnlyList<JsonElement> Values)> Values => _values;

    public IReadOnlyList<SchemaPart> Nots => _nots;

    /// <summary>One of the schemas is false.</summary>
    public bool IsNever { get; private set; }

    /// <summary>There was a reference, so the same facts may come again within themselves.</summary>
    public bool IsReferred { get; private set; }

    /// <summary>The same for the same schemas.</summary>
    public string KeyOf(WorkBudget budget)
    {
        budget.Spend(Size * 1_000L);
        return string.Join('\n', _parts.Select(part => part.Path)
        .Concat(_alternatives.Select(alternatives => $"{alternatives.Keyword} {alternatives.At.Path}"))
        .Concat(_values.Select(values => $"values {values.At.Path}"))
        .Concat(_nots.Select(part => $"not {part.Path}")).Order(StringComparer.Ordinal).Distinct());
    }

    int Size => _parts.Count + _alternatives.Count + _values.Count + _nots.Count + 1;

    public static SchemaFacts Of(IEnumerable<SchemaPart> schemas, SchemaReferences references)
    {
        var facts = new SchemaFacts();
        foreach (var schema in schemas) facts.Read(schema, references, []);
        return facts;
    }

    /// <summary>These facts with one branch of their first alternatives in place of these.</summary>
    public SchemaFacts Choose(SchemaPart branch, SchemaReferences references)
    {
        references.Budget.Spend(Size * 100L);
        var facts = And(new SchemaFacts());
        facts._alternatives.RemoveAt(0);
        facts.Read(branch, references, []);
        return facts;
    }

    public SchemaFacts And(SchemaFacts other)
    {
        var facts = new SchemaFacts { IsNever = IsNever || other.IsNever, IsReferred = IsReferred || other.IsReferred };
        foreach (var of in new[] { this, other })
        {
            facts._parts.AddRange(of._parts);
            facts._alternatives.AddRange(of._alternatives);
            facts._values.AddRange(of._values);
            facts._nots.AddRange(of._nots);
        }
        return facts;
    }

    void Read(SchemaPart part, SchemaReferences references, HashSet<string> within)
    {
        references.Budget.Spend(5_000 + (_parts.Count * 20L));
        references.Budget.Allocate(400 + (part.Path.Length * 2L));
        if (part.Schema.ValueKind is JsonValueKind.True) return;
        if (part.Schema.ValueKind is JsonValueKind.False)
        {
            IsNever = true;
            return;
        }
        if (part.Schema.ValueKind is not JsonValueKind.Object) throw part.Refuse("a schema must be an object, true or false");
        references.Budget.Spend(part.Schema.GetPropertyCount() * 2_500L);   // each keyword is looked for among them
        if (!within.Add(part.Path)) throw part.Refuse("the schema refers to itself without an end");
        if (within.Count > GrammarLimits.Depth) throw new GrammarException($"references and 'allOf' are nested deeper than {GrammarLimits.Depth}", part.Path);
        SchemaKeywords.Check(part, references);
        if (_parts.All(known => known.Path != part.Path)) _parts.Add(part);
        if (part.Find("$ref") is { } reference)
        {
            IsReferred = true;
            Read(references.Resolve(part, reference), references, within);
        }
        foreach (var inner in part.List("allOf") ?? []) Read(inner, references, within);
        foreach (var keyword in (ReadOnlySpan<string>)["anyOf", "oneOf"])
            if (part.List(keyword) is { } branches) _alternatives.Add(new(part, keyword, branches));
        if (part.Find("enum") is { } list)
        {
            if (list.ValueKind != JsonValueKind.Array) throw part.Refuse("'enum' must be a list");
            if (list.GetArrayLength() > GrammarLimits.Choices)
                throw part.Refuse($"'enum' has {list.GetArrayLength()} values; the most is {GrammarLimits.Choices}");
            _values.Add((part, [.. list.EnumerateArray()]));
        }
        if (part.Find("const") is { } value) _values.Add((part, [value]));
        if (part.Find("not") is { } not) _nots.Add(part.Inner(not, "not"));
        within.Remove(part.Path);
    }
}

/// <summary>Finds what "$ref" refers to: places in the same document.</summary>
sealed class SchemaReferences(JsonElement root, WorkBudget budget, UnknownKeywords unknown)
{
    readonly string? _id = root.ValueKind == JsonValueKind.Object && root.TryGetProperty("$id", out var id) && id.ValueKind == JsonValueKind.String
        ? id.GetString() : null;

    public WorkBudget Budget => budget;

    public UnknownKeywords Unknown => unknown;

    /// <summary>Ranges of numbers that were made, by bounds and digits of the fraction: schemas repeat them.</summary>
    public Dictionary<(NumberBound? Least, NumberBound? Most, int? Digits), Expression> Ranges { get; } = [];

    public SchemaPart Resolve(SchemaPart part, JsonElement reference)
    {
        var written = reference.ValueKind == JsonValueKind.String ? SchemaValues.TextOf(reference) : throw part.Refuse("'$ref' must be a text");
        if (written.Length > GrammarLimits.PathLength) throw part.Refuse($"'$ref' has {written.Length} characters; the most is {GrammarLimits.PathLength}");
        budget.Spend(written.Length * 20L);
        budget.Allocate(written.Length * 20L);
        var pointer = _id is not null && written.StartsWith(_id.TrimEnd('#'), StringComparison.Ordinal) ? written[_id.TrimEnd('#').Length..] : written;
        if (pointer is not ("" or "#") && !pointer.StartsWith("#/", StringComparison.Ordinal))
            throw part.Refuse($"'$ref' to '{(written.Length <= 100 ? written : written[..100] + "...")}' cannot be followed: "
                + "only places in the same schema can (\"#/$defs/name\")");
        var (found, path) = (root, "");
        foreach (var step in pointer.TrimStart('#').Split('/').Skip(1))
        {
            var name = Uri.UnescapeDataString(step).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            path = $"{path}/{name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}";
            if (found.ValueKind == JsonValueKind.Object && found.TryGetProperty(name, out var property)) found = property;
            else if (found.ValueKind == JsonValueKind.Array && int.TryParse(name, out var index) && index >= 0
                && index < found.GetArrayLength()) found = found[index];
            else throw part.Refuse($"'$ref' to '{(written.Length <= 100 ? written : written[..100] + "...")}' finds nothing there");
        }
        return new SchemaPart(found, path);
    }
}

/// <summary>Names in schemas that are no keywords, the first few.</summary>
sealed class UnknownKeywords
{
    const int Most = 8;
    const int Longest = 60;

    readonly List<string> _names = [];

    public IReadOnlyList<string> Names => _names;

    public void Add(string name)
    {
        name = name.Length <= Longest ? name : $"{name[..Longest]}...";
        if (_names.Count < Most && !_names.Contains(name)) _names.Add(name);
    }
}
