using System.Diagnostics.CodeAnalysis;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// The key/value pairs of a GGUF file. Values are decoded when asked for, so the file must still be open.
/// A <c>TryGet</c> method answers false where the key is absent; a <c>Get</c> method refuses the file then. Both refuse a value
/// of another type or out of range, with an error that names file and key. Integers of any width are taken if the value fits.
/// </summary>
public sealed class GgufMetadata
{
    readonly ModelFile _file;
    readonly Dictionary<string, GgufValue> _values;
    readonly GgufValueReader _reader;

    internal GgufMetadata(ModelFile file, Dictionary<string, GgufValue> values)
    {
        _file = file;
        _values = values;
        _reader = new GgufValueReader(file);
    }

    /// <summary>The file's path, for messages.</summary>
    public string Path => _file.Path;

    public IReadOnlyDictionary<string, GgufValue> Values => _values;

    public bool Contains(string key) => _values.ContainsKey(key);

    /// <summary>False where the key is absent, too.</summary>
    public bool IsArray(string key) => _values.TryGetValue(key, out var value) && value.IsArray;

    public bool TryGetString(string key, [NotNullWhen(true)] out string? value) => TryGet(key, _reader.String, out value);

    public bool TryGetInt32(string key, out int value) => TryGet(key, _reader.Int32, out value);

    public bool TryGetSingle(string key, out float value) => TryGet(key, _reader.Single, out value);

    public bool TryGetBoolean(string key, out bool value) => TryGet(key, _reader.Boolean, out value);

    public bool TryGetStrings(string key, [NotNullWhen(true)] out string[]? value) => TryGet(key, _reader.Strings, out value);

    public bool TryGetInt32s(string key, [NotNullWhen(true)] out int[]? value) => TryGet(key, _reader.Int32s, out value);

    public bool TryGetSingles(string key, [NotNullWhen(true)] out float[]? value) => TryGet(key, _reader.Singles, out value);

    public string GetString(string key) => TryGetString(key, out var value) ? value : throw Missing(key);

    public int GetInt32(string key) => TryGetInt32(key, out var value) ? value : throw Missing(key);

    public float GetSingle(string key) => TryGetSingle(key, out var value) ? value : throw Missing(key);

    public bool GetBoolean(string key) => TryGetBoolean(key, out var value) ? value : throw Missing(key);

    public string[] GetStrings(string key) => TryGetStrings(key, out var value) ? value : throw Missing(key);

    public int[] GetInt32s(string key) => TryGetInt32s(key, out var value) ? value : throw Missing(key);

    public float[] GetSingles(string key) => TryGetSingles(key, out var value) ? value : throw Missing(key);

    /// <summary>An error that names this file and a key of it.</summary>
    public ModelFormatException Error(string key, string problem) => _file.Error($"{key} {problem}");

    /// <summary>A value's bytes as they stand in the file, with its type (and element type and count) in front.</summary>
    internal byte[] ReadStored(string key) => _values.TryGetValue(key, out var value) ? _reader.Stored(key, value) : throw Missing(key);

    ModelFormatException Missing(string key) => Error(key, "is missing from the metadata");

    bool TryGet<T>(string key, Func<string, GgufValue, T> read, [MaybeNullWhen(false)] out T value)
    {
        var found = _values.TryGetValue(key, out var stored);
        value = found ? read(key, stored!) : default;
        return found;
    }
}
