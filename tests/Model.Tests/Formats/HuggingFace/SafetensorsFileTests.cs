using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

public sealed class SafetensorsFileTests : IDisposable
{
    const string Norm = "model.norm.weight";

    readonly TempFolder _folder = new();

    // Changes to the entry of a vector of 64 F32 in a good file.
    public static TheoryData<string, string> BadEntries => new()
    {
        { """{"dtype": "F8_E4M3"}""", $"{Norm}.dtype is 'F8_E4M3', which is not supported; F32, F16 and BF16 are" },
        { """{"dtype": null}""", $"{Norm}.dtype is missing" },
        { """{"dtype": 4}""", $"{Norm}.dtype is 4; expected a string" },
        { """{"dtype": "F16"}""", $"{Norm}.data_offsets are 256 bytes apart; shape and dtype make 128" },
        { """{"shape": [65]}""", $"{Norm}.data_offsets are 256 bytes apart; shape and dtype make 260" },
        { """{"shape": []}""", $"{Norm}.shape is []; expected a vector or a matrix" },
        { """{"shape": [0]}""", $"{Norm}.shape is [0]; expected a vector or a matrix" },
        { """{"shape": [4, 4, 4]}""", $"{Norm}.shape is [4, 4, 4]; expected a vector or a matrix" },
        { """{"shape": [9223372036854775807]}""", $"{Norm}.shape is [9223372036854775807]; expected a vector or a matrix" },
        { """{"shape": [2147483647, 2147483647]}""", $"{Norm}.data_offsets are 256 bytes apart; shape and dtype make 18446744056529682436" },
        { """{"shape": [1e3]}""", $"{Norm}.shape is 1e3; expected an integer from 0" },
        { """{"shape": [-64]}""", $"{Norm}.shape is -64; expected an integer from 0" },
        { """{"shape": 64}""", $"{Norm}.shape is 64; expected an array" },
        { """{"data_offsets": [256, 0]}""", $"{Norm}.data_offsets are reversed: 256 is after 0" },
        { """{"data_offsets": [0]}""", $"{Norm}.data_offsets are not two numbers" },
        { """{"data_offsets": null}""", $"{Norm}.data_offsets is missing" },
        { """{"data_offsets": [-256, 0]}""", $"{Norm}.data_offsets is -256; expected an integer from 0" },
        { """{"data_offsets": [9223372036854775551, 9223372036854775807]}""", $"{Norm}.data_offsets end at 9223372036854775807, but only" },
        { """{"data_offsets": [0, 18446744073709551615]}""", $"{Norm}.data_offsets is 18446744073709551615; expected an integer from 0" },
        { """{"data_offsets": [0, 256]}""", "overlap" },
    };

    [Theory]
    [MemberData(nameof(BadEntries))]
    public void AnEntryThatCannotBeIsRefusedByField(string change, string expected) => AssertRefused(Changed(header =>
    {
        foreach (var (name, value) in JsonNode.Parse(change)!.AsObject()) header[Norm]![name] = value?.DeepClone();
    }), expected);

    [Theory]
    [InlineData(0ul, "the header is not valid JSON")]
    [InlineData(7ul, "the header is not valid JSON")]
    [InlineData(1ul << 63, "header length is 9223372036854775808, but only")]
    [InlineData(ulong.MaxValue, "header length is 18446744073709551615, but only")]
    public void AHeaderLengthThatLiesIsRefused(ulong length, string expected)
    {
        var file = Changed(_ => { });
        BinaryPrimitives.WriteUInt64LittleEndian(file, length);

        AssertRefused(file, expected);
    }

    [Fact]
    public void AHugeHeaderIsRefusedBeforeItIsRead()
    {
        WriteFolder();
        using (var file = File.OpenWrite(Path))
        {
            file.Write(BitConverter.GetBytes(100L << 20));
            file.SetLength(300L << 20);
        }

        BadModel.AssertRefused(_folder.File("model"), Path, "header length is 104857600; at most 16777216 is allowed");
    }

    /// <summary>As large as may be, of entries that say nothing: it costs itself and little more, where objects for all of it would cost 400 MB.</summary>
    [Fact]
    public void ALongHeaderCostsLittleMoreThanItself()
    {
        const int Bytes = 16 << 20;
        WriteFolder();
        var header = new StringBuilder("{\"__metadata__\":{\"a\":[").AppendJoin(',', Enumerable.Repeat("0", 4 << 20)).Append("]}");
        for (var i = 0; header.Length < Bytes - 20; i++) header.Append($",\"{i}\":{{}}");
        File.WriteAllBytes(Path, new SafetensorsBuilder().Build(header.Append('}').ToString()));

        var before = GC.GetAllocatedBytesForCurrentThread();
        var error = Assert.Throws<ModelFormatException>(() => ModelFiles.Open(_folder.File("model")).Dispose());

        Assert.Contains("the header has more than 65536 tensors", error.Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 5L * Bytes);
    }

    [Theory]
    [InlineData("", "is empty, or no ordinary file")]
    [InlineData("short", "is cut short: it has no header")]
    [InlineData("version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer, not the file itself")]
    public void WhatIsNotSafetensorsIsRefused(string text, string expected) => AssertRefused(System.Text.Encoding.ASCII.GetBytes(text), expected);

    [Theory]
    [InlineData("[]", "the header is not a JSON object")]
    [InlineData("{\"a\": 1}", "a is 1; expected an object")]
    [InlineData("{\"a\": {}, \"a\": {}}", "tensor 'a' is there twice")]
    [InlineData("{\"a\": {\"b\": 1, \"b\": 1}}", "the header is not valid JSON")]
    [InlineData("{} x", "the header is not valid JSON")]
    [InlineData("{\"\\udc00\": {}}", "the header is not valid JSON")]
    public void AHeaderOfAnotherFormIsRefused(string header, string expected) => AssertRefused(new SafetensorsBuilder().Build(header), expected);

    [Fact]
    public void ADeeplyNestedHeaderIsRefused() =>
        AssertRefused(new SafetensorsBuilder().Build("{\"a\":" + new string('[', 10_000) + new string(']', 10_000) + "}"), "the header is not valid JSON");

    [Fact]
    public void AHeaderThatIsNotUtf8IsRefused()
    {
        var file = new SafetensorsBuilder().Build("{\"aaaa\":{}}");
        file[11] = 0xff;

        AssertRefused(file, "the header is not UTF-8");
    }

    [Fact]
    public void AFileCutShortAnywhereIsRefused()
    {
        var whole = Changed(_ => { });
        for (var length = 0; length < whole.Length; length += 4999) AssertRefused(whole[..length], "");
    }

    public void Dispose() => _folder.Dispose();

    string Path => _folder.File("model/model.safetensors");

    void WriteFolder() => SyntheticModel.Small.WriteHuggingFace(_folder.File("model"));

    void AssertRefused(byte[] file, string expected)
    {
        WriteFolder();
        File.WriteAllBytes(Path, file);
        BadModel.AssertRefused(_folder.File("model"), Path, expected);
    }

    /// <summary>A good file with another header before its data.</summary>
    byte[] Changed(Action<JsonObject> change)
    {
        WriteFolder();
        var file = File.ReadAllBytes(Path);
        var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        var header = JsonNode.Parse(file.AsSpan(8, length))!.AsObject();
        change(header);
        return [.. new SafetensorsBuilder().Build(header.ToJsonString()), .. file[(8 + length)..]];
    }
}
