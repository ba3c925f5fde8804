using System.Text;
using LlamaCluster.Model.Formats.Gguf;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

/// <summary>Bytes of a GGUF file, put together by hand so that any of them can lie.</summary>
sealed class RawGguf
{
    readonly MemoryStream _bytes = new();
    readonly BinaryWriter _to;

    public RawGguf() => _to = new BinaryWriter(_bytes);

    /// <summary>Magic, version, counts.</summary>
    public static RawGguf Start(ulong tensors, ulong pairs, uint version = 3) => new RawGguf().Ascii("GGUF").UInt32(version).UInt64(tensors).UInt64(pairs);

    public RawGguf Ascii(string text)
    {
        _to.Write(Encoding.ASCII.GetBytes(text));
        return this;
    }

    public RawGguf Bytes(params byte[] bytes)
    {
        _to.Write(bytes);
        return this;
    }

    public RawGguf UInt32(uint value)
    {
        _to.Write(value);
        return this;
    }

    public RawGguf UInt64(ulong value)
    {
        _to.Write(value);
        return this;
    }

    public RawGguf Type(GgufValueType type) => UInt32((uint)type);

    public RawGguf String(string text) => UInt64((ulong)text.Length).Ascii(text);

    public RawGguf Pair(string key, string value) => String(key).Type(GgufValueType.String).String(value);

    public RawGguf Pair(string key, uint value) => String(key).Type(GgufValueType.UInt32).UInt32(value);

    /// <summary>An entry of the tensor table.</summary>
    public RawGguf Tensor(string name, uint type, ulong offset, params ulong[] dimensions)
    {
        String(name).UInt32((uint)dimensions.Length);
        foreach (var dimension in dimensions) UInt64(dimension);
        return UInt32(type).UInt64(offset);
    }

    public RawGguf Zeros(int count) => Bytes(new byte[count]);

    public byte[] ToArray() => _bytes.ToArray();
}
