using System.Text;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// Metadata to be written: keys in the order in which they were first set. The type of an argument is the type in the file:
/// <c>uint</c> gives UInt32, <c>float[]</c> an array of Float32.
/// </summary>
public sealed class GgufPairs
{
    readonly OrderedDictionary<string, byte[]> _values = new(StringComparer.Ordinal);

    public int Count => _values.Count;

    public void Set(string key, ushort value) => Set(key, GgufValueType.UInt16, value, static (to, v) => to.Write(v));

    public void Set(string key, uint value) => Set(key, GgufValueType.UInt32, value, static (to, v) => to.Write(v));

    public void Set(string key, int value) => Set(key, GgufValueType.Int32, value, static (to, v) => to.Write(v));

    public void Set(string key, float value) => Set(key, GgufValueType.Float32, value, static (to, v) => to.Write(v));

    public void Set(string key, bool value) => Set(key, GgufValueType.Bool, value, static (to, v) => to.Write(v));

    public void Set(string key, string value) => Set(key, GgufValueType.String, value, WriteString);

    public void Set(string key, IReadOnlyList<string> values) => SetArray(key, GgufValueType.String, values, WriteString);

    public void Set(string key, IReadOnlyList<int> values) => SetArray(key, GgufValueType.Int32, values, static (to, v) => to.Write(v));

    public void Set(string key, IReadOnlyList<float> values) => SetArray(key, GgufValueType.Float32, values, static (to, v) => to.Write(v));

    /// <summary>Takes a value from another file as it is stored there.</summary>
    public void Copy(GgufMetadata source, string key) => _values[key] = source.ReadStored(key);

    public bool Remove(string key) => _values.Remove(key);

    internal void Write(BinaryWriter to)
    {
        foreach (var (key, value) in _values)
        {
            WriteString(to, key);
            to.Write(value);
        }
    }

    internal static void WriteString(BinaryWriter to, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        to.Write((ulong)bytes.Length);
        to.Write(bytes);
    }

    void Set<T>(string key, GgufValueType type, T value, Action<BinaryWriter, T> write) => Store(key, to =>
    {
        to.Write((uint)type);
        write(to, value);
    });

    void SetArray<T>(string key, GgufValueType type, IReadOnlyList<T> values, Action<BinaryWriter, T> write) => Store(key, to =>
    {
        to.Write((uint)GgufValueType.Array);
        to.Write((uint)type);
        to.Write((ulong)values.Count);
        foreach (var value in values) write(to, value);
    });

    void Store(string key, Action<BinaryWriter> write)
    {
        using var bytes = new MemoryStream();
        using var to = new BinaryWriter(bytes);
        write(to);
        _values[key] = bytes.ToArray();
    }
}
