using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

public sealed class GgufHeaderReaderTests : IDisposable
{
    const ulong Huge = 1ul << 63;

    readonly TempFolder _folder = new();

    public static TheoryData<string, byte[], string> Lies
    {
        get
        {
            TheoryData<string, byte[], string> lies = new();
            Add("empty", new RawGguf(), "is empty, or no ordinary file");
            Add("other magic", new RawGguf().Ascii("ggjt").UInt32(3), "is not a GGUF file: it does not begin with 'GGUF'");
            Add("git lfs pointer", new RawGguf().Ascii("version https://git-lfs.github.com/spec/v1"), "is a Git LFS pointer");
            Add("magic only", new RawGguf().Ascii("GGUF"), "ends inside version");
            Add("version 1", RawGguf.Start(0, 0, version: 1), "is of GGUF version 1; versions 2 and 3 are supported");
            Add("version 4", RawGguf.Start(0, 0, version: 4), "is of GGUF version 4");
            Add("big endian", RawGguf.Start(0, 0, version: 0x03000000), "is a big-endian GGUF file");
            Add("no counts", new RawGguf().Ascii("GGUF").UInt32(3), "ends inside tensor count");
            Add("tensors", RawGguf.Start(Huge, 0), "tensor count is 9223372036854775808, but the 8 bytes left have no room");
            Add("pairs", RawGguf.Start(0, Huge), "metadata count is 9223372036854775808, but the 0 bytes left have no room");
            Add("all bits", RawGguf.Start(0, ulong.MaxValue).Zeros(99), "metadata count is 18446744073709551615");
            Add("many pairs", RawGguf.Start(0, 70_000).Zeros(1_000_000), "metadata count is 70000; at most 65536 are allowed");
            Add("key length", RawGguf.Start(0, 1).UInt64(Huge).Zeros(20), "metadata key 0 is to have 9223372036854775808 bytes, but 20 are left");
            Add("long key", RawGguf.Start(0, 1).UInt64(70_000).Zeros(99_000), "metadata key 0 has 70000 bytes, more than the 65535 allowed");
            Add("key not UTF-8", RawGguf.Start(0, 1).UInt64(2).Bytes(0xc3, 0x28).Zeros(20), "metadata key 0 is not UTF-8");
            Add("key twice", RawGguf.Start(0, 2).Pair("a", 1).Pair("a", 2), "metadata key 'a' is there twice");
            Add("value type", RawGguf.Start(0, 1).String("a").UInt32(13).Zeros(8), "'a' is of unknown metadata type 13");
            Add("no value", RawGguf.Start(0, 1).String("abcdefgh").Type(GgufValueType.UInt64).Zeros(3), "ends inside 'abcdefgh'");
            Add("string length", Value(GgufValueType.String).UInt64(Huge).Zeros(9), "'a' is to have 9223372036854775808 bytes, but 9 are left");
            Add("array type", Value(GgufValueType.Array).UInt32(99).UInt64(0), "'a' is of unknown metadata type 99");
            Add("array count", Value(GgufValueType.Array).Type(GgufValueType.Float32).UInt64(1ul << 62).Zeros(9),
                "element count of 'a' is 4611686018427387904, but the 9 bytes left");
            Add("string array count", Value(GgufValueType.Array).Type(GgufValueType.String).UInt64(3).Zeros(23),
                "element count of 'a' is 3, but the 23 bytes left");
            Add("nested arrays", Nested(5), "'a' has arrays nested more than 4 deep");
            Add("nested arrays without end", Nested(10_000), "'a' has arrays nested more than 4 deep");
            Add("key in message", RawGguf.Start(0, 1).String("a\nb\u0007").UInt32(77).Zeros(9), "'a\\u000ab\\u0007' is of unknown metadata type 77");
            Add("alignment 0", RawGguf.Start(0, 1).Pair("general.alignment", 0), "general.alignment is 0; it must be a power of two");
            Add("alignment 24", RawGguf.Start(0, 1).Pair("general.alignment", 24), "general.alignment is 24");
            Add("alignment type", RawGguf.Start(0, 1).Pair("general.alignment", "32"), "general.alignment is of type String; expected an integer");
            Add("tensor name length", RawGguf.Start(1, 0).UInt64(Huge).Zeros(40), "name of tensor 0 is to have 9223372036854775808 bytes");
            Add("long tensor name", RawGguf.Start(1, 0).UInt64(300).Zeros(400), "name of tensor 0 has 300 bytes, more than the 256 allowed");
            Add("tensor twice", RawGguf.Start(2, 0).Tensor("t", 0, 0, 1).Tensor("t", 0, 32, 1).Zeros(99), "tensor 't' is there twice");
            Add("no dimensions", RawGguf.Start(1, 0).Tensor("t", 0, 0).Zeros(99), "tensor 't' has 0 dimensions");
            Add("5 dimensions", RawGguf.Start(1, 0).Tensor("t", 0, 0, 1, 1, 1, 1, 1).Zeros(99), "tensor 't' has 5 dimensions");
            Add("2^32 - 1 dimensions", RawGguf.Start(1, 0).String("t").UInt32(uint.MaxValue).Zeros(99), "tensor 't' has 4294967295 dimensions");
            Add("zero dimension", RawGguf.Start(1, 0).Tensor("t", 0, 0, 4, 0).Zeros(99), "tensor 't' has a dimension of 0");
            Add("table cut", RawGguf.Start(1, 0).String("a tensor of some name").UInt32(1).UInt64(4), "ends inside type of tensor 'a tensor of some name'");
            Add("no data", RawGguf.Start(1, 0).Tensor("t", 0, 0, 4), "ends before the tensor data");
            return lies;

            void Add(string what, RawGguf file, string expected) => lies.Add(what, file.ToArray(), expected);
        }
    }

    [Theory]
    [MemberData(nameof(Lies))]
    public void AHeaderThatLiesIsRefusedByField(string what, byte[] content, string expected)
    {
        var path = _folder.File($"{what}.gguf");
        File.WriteAllBytes(path, content);

        BadModel.AssertRefused(path, expected);
    }

    [Fact]
    public void AMissingFileIsNamed() => BadModel.AssertRefused(_folder.File("none.gguf"), "no such file");

    [Fact]
    public void Version2IsRead()
    {
        var path = _folder.File("two.gguf");
        File.WriteAllBytes(path, RawGguf.Start(1, 2, version: 2).Pair("a", "text").Pair("b", 7).Tensor("t", 0, 0, 2).Zeros(64).ToArray());

        using var file = GgufFile.Open(path);

        Assert.Equal(2u, file.Version);
        Assert.Equal("text", file.Metadata.GetString("a"));
        Assert.Equal(7, file.Metadata.GetInt32("b"));
        Assert.Equal("t", Assert.Single(file.Tensors).Name);
    }

    [Fact]
    public void NestedArraysOfAFewLevelsAreSkipped()
    {
        var path = _folder.File("nested.gguf");
        File.WriteAllBytes(path, Nested(4).ToArray());

        using var file = GgufFile.Open(path);

        Assert.True(file.Metadata.Contains("a"));
    }

    public void Dispose() => _folder.Dispose();

    static RawGguf Value(GgufValueType type) => RawGguf.Start(0, 1).String("a").Type(type);

    static RawGguf Nested(int depth)
    {
        var file = Value(GgufValueType.Array);
        for (var i = 1; i < depth; i++) file.Type(GgufValueType.Array).UInt64(1);
        return file.Type(GgufValueType.UInt8).UInt64(1).Zeros(13);
    }
}
