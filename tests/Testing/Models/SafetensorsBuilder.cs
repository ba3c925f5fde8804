using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;

namespace LlamaCluster.Testing.Models;

/// <summary>
/// Builds a safetensors file (https://huggingface.co/docs/safetensors): an 8-byte header length, a JSON header, the data.
/// </summary>
public sealed class SafetensorsBuilder
{
    readonly MemoryStream _data = new();

    /// <summary>The header as it will be written; tests of damaged files change it.</summary>
    public JsonObject Header { get; } = new() { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };

    public void Add(string name, string dtype, IReadOnlyList<long> shape, ReadOnlySpan<byte> stored)
    {
        var start = _data.Length;
        _data.Write(stored);
        Header[name] = new JsonObject
        {
            ["dtype"] = dtype,
            ["shape"] = new JsonArray([.. shape.Select(n => (JsonNode)n)]),
            ["data_offsets"] = new JsonArray(start, _data.Length),
        };
    }

    public byte[] Build() => Build(Header.ToJsonString());

    /// <summary>The same data behind another header.</summary>
    public byte[] Build(string header)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var file = new byte[sizeof(ulong) + json.Length + _data.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(file, (ulong)json.Length);
        json.CopyTo(file, sizeof(ulong));
        _data.ToArray().CopyTo(file, sizeof(ulong) + json.Length);
        return file;
    }
}
