using System.Text.Json;
using System.Text.Unicode;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// The fields of a JSON object, read as the types that are expected of them. A field that is null counts as absent. A field
/// of another type is refused with an error that names the file and the field.
/// </summary>
/// <param name="prefix">Where the object stands in the file: empty, or like <c>rope_scaling.</c></param>
sealed class JsonFields(string path, string prefix, JsonElement element)
{
    public string Path => path;

    /// <summary>An object that is a field of a file's outermost object.</summary>
    public static JsonFields Field(string path, string name, JsonElement value) => new JsonFields(path, "", default).Object(name, value);

    /// <summary>All fields, each of which must be an object.</summary>
    public IEnumerable<(string Name, JsonFields Fields)> Objects() =>
        element.EnumerateObject().Select(property => (NameOf(property), Object(NameOf(property), property.Value)));

    /// <summary>All fields, each of which must be a string.</summary>
    public IEnumerable<(string Name, string Text)> Strings() =>
        element.EnumerateObject().Select(property => (NameOf(property), Text(NameOf(property), property.Value)));

    /// <summary>All fields, each of which must be an integer.</summary>
    public IEnumerable<(string Name, int Number)> Int32s() =>
        element.EnumerateObject().Select(property => (NameOf(property), Int32(NameOf(property), property.Value)));

    /// <summary>Undefined if the field is absent or null.</summary>
    public JsonValueKind KindOf(string name) => TryFind(name, out var value) ? value.ValueKind : JsonValueKind.Undefined;

    public bool Has(string name) => TryFind(name, out _);

    /// <summary>Whether the field is there, be it null.</summary>
    public bool Mentions(string name) => element.TryGetProperty(name, out _);

    public int? FindInt32(string name) => TryFind(name, out var value) ? Int32(name, value) : null;

    public int GetInt32(string name) => FindInt32(name) ?? throw Missing(name);

    /// <summary>An array of integers, or one integer alone.</summary>
    public int[]? FindInt32s(string name) =>
        KindOf(name) is JsonValueKind.Number ? [GetInt32(name)] : Elements(name)?.Select(value => Int32(name, value)).ToArray();

    public float? FindSingle(string name)
    {
        if (!TryFind(name, out var value)) return null;
        return value.ValueKind is JsonValueKind.Number && value.TryGetDouble(out var number) ? (float)number : throw NotA("number", name, value);
    }

    public float GetSingle(string name) => FindSingle(name) ?? throw Missing(name);

    public bool? FindBoolean(string name)
    {
        if (!TryFind(name, out var value)) return null;
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw NotA("boolean", name, value);
    }

    public string? FindString(string name) => TryFind(name, out var value) ? Text(name, value) : null;

    public string GetString(string name) => FindString(name) ?? throw Missing(name);

    public string[]? FindStrings(string name) => Elements(name)?.Select(value => Text(name, value)).ToArray();

    /// <summary>Elements of an array, of any kind; null where there is none.</summary>
    public int? CountOf(string name) => Elements(name)?.Count();

    /// <summary>An array of integers from 0 on.</summary>
    public long[] GetSizes(string name) => Elements(name)?.Select(value => Size(name, value)).ToArray() ?? throw Missing(name);

    public JsonFields? FindObject(string name) => TryFind(name, out var value) ? Object(name, value) : null;

    /// <summary>An array of objects.</summary>
    public JsonFields[]? FindObjects(string name) => Elements(name)?.Select((value, index) => Object($"{name}[{index}]", value)).ToArray();

    public JsonFields GetObject(string name) => FindObject(name) ?? throw Missing(name);

    /// <summary>An error that names the file and a field.</summary>
    public ModelFormatException Error(string name, string problem) => new($"{path}: {prefix}{ErrorText.Show(name)} {problem}");

    bool TryFind(string name, out JsonElement value) => element.TryGetProperty(name, out value) && value.ValueKind is not JsonValueKind.Null;

    IEnumerable<JsonElement>? Elements(string name)
    {
        if (!TryFind(name, out var value)) return null;
        return value.ValueKind is JsonValueKind.Array ? value.EnumerateArray() : throw NotA("array", name, value);
    }

    JsonFields Object(string name, JsonElement value) => value.ValueKind is JsonValueKind.Object
        ? new JsonFields(path, $"{prefix}{ErrorText.Show(name)}.", value)
        : throw NotA("object", name, value);

    // Some programs write every number as a float, and Python's int() takes 4096.0 too.
    int Int32(string name, JsonElement value)
    {
        if (value.ValueKind is JsonValueKind.Number)
        {
            if (value.TryGetInt32(out var number)) return number;
            if (value.TryGetDouble(out var real) && real == (int)real) return (int)real;
        }
        throw NotA("integer of 32 bits", name, value);
    }

    string Text(string name, JsonElement value)
    {
        if (value.ValueKind is not JsonValueKind.String) throw NotA("string", name, value);
        return Decode(value.GetString, name)!;
    }

    string NameOf(JsonProperty property) => Decode(() => property.Name, "a name")!;

    // A string may have an escape that stands for half a character.
    string? Decode(Func<string?> text, string name)
    {
        try
        {
            return text();
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFormatException($"{path}: {prefix}{ErrorText.Show(name)} is not valid Unicode", e);
        }
    }

    long Size(string name, JsonElement value) =>
        value.ValueKind is JsonValueKind.Number && value.TryGetInt64(out var size) && size >= 0 ? size : throw NotA("integer from 0 to 2^63 - 1", name, value);

    ModelFormatException Missing(string name) => Error(name, "is missing");

    ModelFormatException NotA(string expected, string name, JsonElement value) =>
        Error(name, $"is {Shown(value)}; expected {(expected[0] is 'a' or 'i' or 'o' ? "an" : "a")} {expected}");

    static string Shown(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number => ErrorText.Show(value.GetRawText()),
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        var kind => $"a {kind.ToString().ToLowerInvariant()}",
    };
}

/// <summary>Reads JSON that may be hostile: of bounded size and depth, without comments, without a name twice in one object.</summary>
static class JsonFile
{
    // Read into objects it takes some twenty times its size. The longest that is known, an index of 90,000 tensors, has 9 MB.
    const int MaxBytes = 16 << 20;
    const int MaxDepth = 16;

    public static JsonFields Read(string path)
    {
        using var file = ModelFile.Open(path);
        if (file.Length > MaxBytes) throw file.Error($"has {file.Length} bytes, more than the {MaxBytes} allowed for JSON");
        var json = new byte[file.Length];
        file.Read(0, json);
        return Parse(file, "the file", json);
    }

    /// <param name="part">What of the file this is, for errors.</param>
    public static JsonFields Parse(ModelFile file, string part, ReadOnlyMemory<byte> json)
    {
        if (json.Length > MaxBytes) throw file.Error($"{part} has {json.Length} bytes of JSON, more than the {MaxBytes} allowed");
        if (!Utf8.IsValid(json.Span)) throw file.Error($"{part} is not UTF-8");
        try
        {
            var root = ParseElement(json);
            return root.ValueKind is JsonValueKind.Object ? new JsonFields(file.Path, "", root) : throw file.Error($"{part} is not a JSON object");
        }
        // The latter where a name has an escape that stands for half a character.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw file.Error(file.IsLfsPointer() ? ModelFile.LfsPointerProblem : $"{part} is not valid JSON: {ErrorText.Sentence(e.Message)}", e);
        }
    }

    /// <summary>A field of an object that is read piece by piece. It must be an object itself.</summary>
    /// <exception cref="JsonException">It is not valid JSON.</exception>
    public static JsonFields ParseField(ModelFile file, string name, ReadOnlyMemory<byte> json) => JsonFields.Field(file.Path, name, ParseElement(json));

    static JsonElement ParseElement(ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
        return document.RootElement.Clone();
    }
}
