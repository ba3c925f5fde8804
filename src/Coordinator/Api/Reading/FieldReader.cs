using System.Globalization;
using System.Text.Json;

namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>
/// The one place that reads values of a request. A field is read with its type and range, or is refused by name: what is left when all rules
/// have read theirs is unknown. A null is the same as a field that is not there, as OpenAI's clients mean it.
/// </summary>
sealed class FieldReader(JsonElement value, string path, FirstError first)
{
    readonly HashSet<string> _read = [];

    public ApiError? Error => first.Error;

    public FirstError First => first;

    /// <summary>The field's full name, for errors.</summary>
    public string PathOf(string name) => path.Length == 0 ? name : $"{path}.{name}";

    public JsonElement? Find(string name)
    {
        _read.Add(name);
        return value.TryGetProperty(name, out var found) && found.ValueKind != JsonValueKind.Null ? found : null;
    }

    public void Refuse(string name, string message) => first.Add(ApiError.Invalid(PathOf(name), message));

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
        if (found.ValueKind == JsonValueKind.Number && found.TryGetInt64(out var number) && number >= least && number <= most) return number;
        Refuse(name, $"'{PathOf(name)}' must be a whole number between {least} and {most}, not {JsonText.Excerpt(found)}.");
        return null;
    }

    public int? Count(string name, int least, int most) => (int?)Integer(name, least, most);

    /// <param name="least">Allowed itself, unless <paramref name="above"/>.</param>
    public float? Number(string name, float least, float most, bool above = false)
    {
        if (Find(name) is not { } found) return null;
        if (InRange(found, least, most, above) is { } number) return number;
        Refuse(name, string.Create(CultureInfo.InvariantCulture,
            $"'{PathOf(name)}' must be a number {(above ? "greater than" : "between")} {least} and {(above ? "at most " : "")}{most}, not {JsonText.Excerpt(found)}."));
        return null;
    }

    public FieldReader? Fields(string name)
    {
        if (Find(name) is not { } found) return null;
        if (found.ValueKind == JsonValueKind.Object) return new(found, PathOf(name), first);
        Refuse(name, $"'{PathOf(name)}' must be an object, not {JsonText.Excerpt(found)}.");
        return null;
    }

    /// <summary>Names of all fields, but for those that are no Unicode text.</summary>
    public IReadOnlyList<string> Names() => [.. value.EnumerateObject().Select(JsonText.NameOf).OfType<string>()];

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

    /// <summary>Reader of one element of an array of objects; null if it is none.</summary>
    public FieldReader? Element(string name, int index, JsonElement element)
    {
        var elementPath = $"{PathOf(name)}[{index}]";
        if (element.ValueKind == JsonValueKind.Object) return new(element, elementPath, first);
        first.Add(ApiError.Invalid(elementPath, $"'{elementPath}' must be an object, not {JsonText.Excerpt(element)}."));
        return null;
    }

    /// <summary>A field that changes nothing here, whatever it says: a note of the client for itself.</summary>
    public void Bookkeeping(string name) => _read.Add(name);

    /// <summary>A field that is only accepted with a value that changes nothing.</summary>
    public void Neutral(string name, Func<JsonElement, bool> changesNothing, string reason)
    {
        if (Find(name) is { } found && !changesNothing(found))
            first.Add(ApiError.Unsupported(PathOf(name), $"'{PathOf(name)}' {reason}."));
    }

    public void RefuseUnread()
    {
        foreach (var property in value.EnumerateObject())
        {
            if (first.Error is not null) return;
            var name = JsonText.NameOf(property);
            if (name is null || !_read.Contains(name))
                first.Add(ApiError.Invalid(name is null ? null : PathOf(name), $"Unknown field: {JsonText.Shorten(PathOf(name ?? "(no Unicode text)"))}.", "unknown_parameter"));
        }
    }

    static float? InRange(JsonElement found, float least, float most, bool above)
        => found.ValueKind == JsonValueKind.Number && found.TryGetDouble(out var number) && (above ? number > least : number >= least) && number <= most
            ? (float)number
            : null;
}
