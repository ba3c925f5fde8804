using System.Buffers.Binary;
using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

/// <summary>The folders of tests/Fixtures/few-bits, and copies of them that are changed.</summary>
static class FewBitsFolder
{
    public const string Config = "config.json";
    public const string Tensors = "model.safetensors";

    public static string Fixture(string name) => SharedFiles.Fixture($"few-bits/{name}");

    /// <summary>What of a folder a model consists of.</summary>
    public static string Copy(TempFolder folder, string name)
    {
        Directory.CreateDirectory(folder.File(name));
        foreach (var file in (string[])[Config, Tensors]) File.Copy(Path.Combine(Fixture(name), file), folder.File(Path.Combine(name, file)));
        return folder.File(name);
    }

    /// <summary>A copy with a text in one of its files replaced.</summary>
    public static string Changed(TempFolder folder, string name, string file, string old, string replacement)
    {
        var path = Copy(folder, name);
        var text = File.ReadAllText(Path.Combine(path, file));
        Assert.Contains(old, text);
        File.WriteAllText(Path.Combine(path, file), text.Replace(old, replacement));
        return path;
    }

    /// <summary>The header of a safetensors file, and what is behind it.</summary>
    public static (JsonObject Header, byte[] Data) Split(byte[] file)
    {
        var end = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        return (JsonNode.Parse(file.AsSpan(8..end))!.AsObject(), file[end..]);
    }
}
