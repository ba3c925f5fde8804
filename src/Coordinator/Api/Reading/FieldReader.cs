using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>
/// The one place that reads values of a request. A field is read with its type and range, or is refused by name. A field that no rule has
/// read is reported as ignored. A null counts as a field that is not there, which is what OpenAI's clients mean by it.
/// </summary>
sealed class FieldReader
{
    readonly HashSet<string> _read = [];
    readonly JsonElement _value;
    readonly string _path;
    readonly string _kind;   // the path without the numbers of elements
    readonly Findings _findings;

    FieldReader(JsonElement value, string path, string kind, Findings findings) => (_value, _path, _kind, _findings) = (value, path, kind, findings);

    /// <summary>Reader of a request's body, a JSON object.</summary>
    public static FieldReader Of(JsonElement body, Findings findings) => new(body, "", "", findings);

    /// <summary>The first thing found wrong with the request.</summary>
    public ApiError? Error => _findings.Error;

    /// <summary>The field's full name, for errors. Of a name that is too long, the beginning.</summary>
    public string PathOf(string name) => Join(_path, name);

    public JsonElement? Find(string name)
    {
        _read.Add(name);
        return _value.TryGetProperty(name, out var found) && found.ValueKind != JsonValueKind.Null ? found : null;
    }

    public void Refuse(string name, string message) => _findings.Add(ApiError.Invalid(PathOf(name), message));

    public void Refuse(ApiError error) => _findings.Add(error);

    /// <summary>Says that a field's value was read as another one.</summary>
    public void Adjust(string name, string value) => _findings.Adjust(Join(_kind, name), value);

    public string? Text(string name)
    {
        if (Find(name) is not { } found) return null;
        if (JsonText.Of(found) is { } text) return text;
        Refuse(name, found.ValueKind == JsonValueKind.String
            ? $"'{PathOf(name)}' holds bytes or escapes that are no Unicode text."
            : $"'{PathOf(name)}' must be a string, not {JsonText.Excerpt(found)}.");
        return null;
    }

    public bool Flag(string name, bool otherwise = false)
    {
        if (Find(name) is not { } found) return otherwise;
        if (found.ValueKind is JsonValueKind.True or JsonValueKind.False) return found.GetBoolean();
        Refuse(name, $"'{PathOf(name)}' must be true or false, not {JsonText.Excerpt(found)}.");
        return otherwise;
    }

    public long? Integer(string name, long least, long most)
    {
        if (Find(name) is not { } found) return null;
        if (Whole(found) is { } number && number >= least && number <= most) return number;
        Refuse(name, $"'{PathOf(name)}' must be a whole number between {least} and {most}, not {JsonText.Excerpt(found)}.");
        return null;
    }

    public int? Count(string name, int least, int most) => (int?)Integer(name, least, most);

    public float? Number(SamplingRange range) => Number(range.Name, range);

    /// <summary>A number, judged as the 32-bit float that it becomes.</summary>
    public float? Number(string name, SamplingRange range)
    {
        if (Find(name) is not { } found) return null;
        if (found.ValueKind == JsonValueKind.Number && found.TryGetDouble(out var number) && range.Contains((float)number)) return (float)number;
        var between = range.ExcludesLeast
            ? string.Create(CultureInfo.InvariantCulture, $"greater than {range.Least} and at most {range.Most}")
            : string.Create(CultureInfo.InvariantCulture, $"between {range.Least} and {range.Most}");
        Refuse(name, $"'{PathOf(name)}' must be a number {between}, not {JsonText.Excerpt(found)}.");
        return null;
    }

    public FieldReader? Fields(string name)
    {
        if (Find(name) is not { } found) return null;
        if (found.ValueKind == JsonValueKind.Object) return new(found, PathOf(name), Join(_kind, name), _findings);
        Refuse(name, $"'{PathOf(name)}' must be an object, not {JsonText.Excerpt(found)}.");
        return null;
    }

    /// <summary>A value of any form, its own fields and all. Null if it is absent or wrong.</summary>
    public JsonNode? Json(string name)
    {
        if (Find(name) is not { } found) return null;
        try
        {
            var node = JsonNode.Parse(found.GetRawText());
            node?.ToJsonString();   // reads every text
            return node;
        }
        catch (Exception wrong) when (wrong is InvalidOperationException or ArgumentException)
        {
            Refuse(name, $"'{PathOf(name)}' holds escapes that are no Unicode text.");
            return null;
        }
    }

    /// <summary>Names of all fields, without those that are no Unicode text, which <see cref="ReportUnread"/> refuses.</summary>
    public IReadOnlyList<string> Names() => [.. _value.EnumerateObject().Select(JsonText.NameOf).OfType<string>()];

    /// <summary>The elements of an array of at most <paramref name="most"/>; null if the field is absent or wrong.</summary>
    public JsonElement[]? List(string name, int most)
    {
        if (Find(name) is not { } found) return null;
        if (found.ValueKind != JsonValueKind.Array)
            Refuse(name, $"'{PathOf(name)}' must be an array, not {JsonText.Excerpt(found)}.");
        else if (found.GetArrayLength() > most)
            Refuse(name, $"'{PathOf(name)}' has {found.GetArrayLength()} elements; the most allowed is {most}.");
        else
            return [.. found.EnumerateArray()];
        return null;
    }

    /// <summary>Reader of one element of an array of objects; null if the element is no object.</summary>
    public FieldReader? Element(string name, int index, JsonElement element)
    {
        var elementPath = $"{PathOf(name)}[{index}]";
        if (element.ValueKind == JsonValueKind.Object) return new(element, elementPath, $"{Join(_kind, name)}[]", _findings);
        _findings.Add(ApiError.Invalid(elementPath, $"'{elementPath}' must be an object, not {JsonText.Excerpt(element)}."));
        return null;
    }

    /// <summary>The adapter that the request names in the model's place; null: none. Known to the reader of the body.</summary>
    public ServedAdapter? Adapter { get; private set; }

    /// <summary>The field "model": the one model that is served, one of its adapters, or absent.</summary>
    /// <returns>The model under that name.</returns>
    public ServedModel Model(ServedModel model)
    {
        if (Text("model") is { } asked && asked != model.Name) NameAdapter(asked, model);
        return model.Named(Adapter);
    }

    /// <summary>The request asks for an adapter, or for what there is not.</summary>
    public void NameAdapter(string asked, ServedModel model)
    {
        var named = model.Adapters.Find(asked);
        if (named is null) _findings.Add(ApiError.UnknownModel(JsonText.Shorten(asked), model.Names));
        else if (Adapter is not null && Adapter != named) Refuse("model", $"The request names two adapters, '{Adapter.Name}' and '{named.Name}'.");
        Adapter = named;
    }

    /// <summary>An element of a list of token ids; 0 after refusing it.</summary>
    public int TokenId(string name, JsonElement element, int vocabulary)
    {
        if (Whole(element) is { } id && id >= 0 && id < vocabulary) return (int)id;
        Refuse(name, $"'{PathOf(name)}' must hold token ids from 0 to {vocabulary - 1}, not {JsonText.Excerpt(element)}.");
        return 0;
    }

    public IReadOnlyList<int> TokenIds(string name, IEnumerable<JsonElement> elements, int vocabulary)
        => [.. elements.TakeWhile(_ => Error is null).Select(element => TokenId(name, element, vocabulary))];

    /// <summary>Accepts a field that changes nothing here whatever it says: a note of the client for itself.</summary>
    public void Bookkeeping(string name) => _read.Add(name);

    /// <summary>Accepts a field only with a value that changes nothing.</summary>
    public void Neutral(string name, Func<JsonElement, bool> changesNothing, string reason)
    {
        if (Find(name) is { } found && !changesNothing(found)) _findings.Add(Unsupported(name, reason));
    }

    /// <summary>Accepts a field with any value, and reports it as ignored where the value asks for something.</summary>
    public void Hint(string name, Func<JsonElement, bool> changesNothing, string reason)
    {
        if (Find(name) is { } found && !changesNothing(found)) _findings.Ignore(Join(_kind, name), Unsupported(name, reason));
    }

    /// <summary>Reports the fields that no rule has read.</summary>
    public void ReportUnread()
    {
        foreach (var property in _value.EnumerateObject())
        {
            if (Error is not null) return;
            if (property.Value.ValueKind == JsonValueKind.Null) continue;
            if (JsonText.NameOf(property) is not { } name)
                _findings.Add(ApiError.Invalid(_path.Length == 0 ? null : _path, "A field's name is no Unicode text.", "unknown_parameter"));
            else if (!_read.Contains(name))
                _findings.Ignore(Join(_kind, name), ApiError.Invalid(PathOf(name), $"Unknown field: {PathOf(name)}.", "unknown_parameter"));
        }
    }

    ApiError Unsupported(string name, string reason) => ApiError.Unsupported(PathOf(name), $"'{PathOf(name)}' {reason}.");

    static string Join(string path, string name) => path.Length == 0 ? JsonText.Shorten(name) : $"{path}.{JsonText.Shorten(name)}";

    /// <summary>An integer, however it is written: 16, 16.0 and 1.6e1 are the same number in JSON.</summary>
    static long? Whole(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Number) return null;
        if (element.TryGetInt64(out var number)) return number;
        return element.TryGetDecimal(out var written) && decimal.IsInteger(written) && written is >= long.MinValue and <= long.MaxValue ? (long)written : null;
    }
}
