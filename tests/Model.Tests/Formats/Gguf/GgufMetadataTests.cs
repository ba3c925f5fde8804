using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

public sealed class GgufMetadataTests : IDisposable
{
    readonly TempFolder _folder = new();
    readonly GgufFile _file;

    public GgufMetadataTests()
    {
        var path = _folder.File("pairs.gguf");
        File.WriteAllBytes(path, RawGguf.Start(0, 10)
            .String("u8").Type(GgufValueType.UInt8).Bytes(200)
            .String("i16").Type(GgufValueType.Int16).Bytes(0xfe, 0xff)
            .String("u32").Type(GgufValueType.UInt32).UInt32(uint.MaxValue)
            .String("u64").Type(GgufValueType.UInt64).UInt64(5)
            .String("f64").Type(GgufValueType.Float64).Bytes(BitConverter.GetBytes(0.5))
            .String("yes").Type(GgufValueType.Bool).Bytes(1)
            .String("maybe").Type(GgufValueType.Bool).Bytes(2)
            .String("bad text").Type(GgufValueType.String).UInt64(1).Bytes(0xff)
            .String("words").Type(GgufValueType.Array).Type(GgufValueType.String).UInt64(2).String("one").String("")
            .String("numbers").Type(GgufValueType.Array).Type(GgufValueType.Int16).UInt64(2).Bytes(1, 0, 0xff, 0xff)
            .ToArray());
        _file = GgufFile.Open(path);
    }

    GgufMetadata Metadata => _file.Metadata;

    [Fact]
    public void IntegersOfAnyWidthAreTaken()
    {
        Assert.Equal(200, Metadata.GetInt32("u8"));
        Assert.Equal(-2, Metadata.GetInt32("i16"));
        Assert.Equal(5, Metadata.GetInt32("u64"));
        Assert.Equal([1, -1], Metadata.GetInt32s("numbers"));
    }

    [Fact]
    public void OtherTypesAreTaken()
    {
        Assert.Equal(0.5f, Metadata.GetSingle("f64"));
        Assert.True(Metadata.GetBoolean("yes"));
        Assert.Equal(["one", ""], Metadata.GetStrings("words"));
    }

    [Fact]
    public void AnAbsentKeyIsNoErrorWhereItMayBeAbsent()
    {
        Assert.False(Metadata.TryGetInt32("none", out _));
        Assert.False(Metadata.TryGetStrings("none", out _));
    }

    [Fact]
    public void ErrorsNameFileAndKey()
    {
        AssertError(() => Metadata.GetInt32("none"), "none is missing from the metadata");
        AssertError(() => Metadata.GetInt32("u32"), "u32 is 4294967295, which is out of range");
        AssertError(() => Metadata.GetInt32("yes"), "yes is of type Bool; expected an integer");
        AssertError(() => Metadata.GetInt32("numbers"), "numbers is of type array of Int16; expected an integer");
        AssertError(() => Metadata.GetString("u8"), "u8 is of type UInt8; expected a string");
        AssertError(() => Metadata.GetSingles("words"), "words is of type array of String; expected an array of floats");
        AssertError(() => Metadata.GetString("bad text"), "bad text is not UTF-8");
        AssertError(() => Metadata.GetBoolean("maybe"), "maybe is a bool of value 2; only 0 and 1 are allowed");
    }

    public void Dispose()
    {
        _file.Dispose();
        _folder.Dispose();
    }

    void AssertError(Func<object> get, string expected) =>
        Assert.Equal($"{_file.Path}: {expected}", Assert.Throws<ModelFormatException>(get).Message);
}
