using System.Text;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests;

/// <summary>The tensors of one of the demo model's GGUF files: just enough of a reader to check decoders against files made by llama.cpp.</summary>
sealed class DemoFile
{
    readonly byte[] _file;
    readonly Dictionary<string, Tensor> _tensors = [];
    readonly long _dataOffset;

    public DemoFile(string path)
    {
        _file = File.ReadAllBytes(path);
        using var reader = new BinaryReader(new MemoryStream(_file));
        Assert.Equal("GGUF"u8, reader.ReadBytes(4));
        Assert.Equal(3u, reader.ReadUInt32());
        var tensors = reader.ReadInt64();
        var metadata = reader.ReadInt64();
        for (var i = 0L; i < metadata; i++)
        {
            ReadString(reader);
            SkipValue(reader, reader.ReadUInt32());
        }

        for (var i = 0L; i < tensors; i++)
        {
            var name = ReadString(reader);
            var elements = 1L;
            var dimensions = reader.ReadUInt32();
            for (var d = 0; d < dimensions; d++) elements *= reader.ReadInt64();
            _tensors.Add(name, new Tensor((TensorType)reader.ReadUInt32(), elements, reader.ReadInt64()));
        }

        _dataOffset = (reader.BaseStream.Position + 31) / 32 * 32;
    }

    public IEnumerable<string> Names => _tensors.Keys;

    public TensorType TypeOf(string name) => _tensors[name].Type;

    public ReadOnlySpan<byte> Stored(string name)
    {
        var tensor = _tensors[name];
        return _file.AsSpan((int)(_dataOffset + tensor.Offset), (int)tensor.Type.RowBytes(tensor.Elements));
    }

    public float[] Decode(string name)
    {
        var values = new float[_tensors[name].Elements];
        RowDecoder.Decode(_tensors[name].Type, Stored(name), values);
        return values;
    }

    static string ReadString(BinaryReader reader) => Encoding.UTF8.GetString(reader.ReadBytes((int)reader.ReadInt64()));

    static void SkipValue(BinaryReader reader, uint type)
    {
        const uint Text = 8, Array = 9;
        if (type == Text) ReadString(reader);
        else if (type == Array)
        {
            var element = reader.ReadUInt32();
            for (var left = reader.ReadInt64(); left > 0; left--) SkipValue(reader, element);
        }
        else
        {
            reader.ReadBytes(type switch { 0 or 1 or 7 => 1, 2 or 3 => 2, 4 or 5 or 6 => 4, _ => 8 });
        }
    }

    readonly record struct Tensor(TensorType Type, long Elements, long Offset);
}
