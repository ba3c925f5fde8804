using System.Buffers.Binary;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// Reads the header of a GGUF file of version 2 or 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md):
/// magic, version, tensor count, pair count, pairs, tensor table, padding.
/// </summary>
sealed class GgufHeaderReader
{
    const string AlignmentKey = "general.alignment";
    const uint DefaultAlignment = 32;
    const int MaxPairs = 1 << 16;
    const int MaxTensors = 1 << 16;
    const int MaxKeyBytes = 65_535;
    const int MaxNameBytes = 256;
    const int MaxDimensions = 4;
    const int MaxArrayDepth = 4;

    // A key's length, the value's type and at least one byte of value.
    const int LeastPairBytes = 8 + 4 + 1;

    // A name's length, the number of dimensions, one dimension, the type, the offset.
    const int LeastTensorBytes = 8 + 4 + 8 + 4 + 8;

    readonly ModelFile _file;
    readonly GgufCursor _cursor;

    GgufHeaderReader(ModelFile file)
    {
        _file = file;
        _cursor = new GgufCursor(file);
    }

    public static GgufHeader Read(ModelFile file) => new GgufHeaderReader(file).Read();

    GgufHeader Read()
    {
        var version = ReadVersion();
        var tensorCount = ReadCount("tensor count", LeastTensorBytes, MaxTensors);
        var pairCount = ReadCount("metadata count", LeastPairBytes, MaxPairs);
        var metadata = new GgufMetadata(_file, ReadPairs(pairCount));
        var alignment = AlignmentOf(metadata);
        var tensors = ReadTensors(tensorCount);
        return new GgufHeader(version, metadata, tensors, DataStart(alignment, tensors.Count), alignment);
    }

    uint ReadVersion()
    {
        if (!_cursor.Take(4, "the magic number").SequenceEqual("GGUF"u8))
            throw _file.Error(_file.IsLfsPointer() ? ModelFile.LfsPointerProblem : "is not a GGUF file: it does not begin with 'GGUF'");
        var version = _cursor.ReadUInt32("version");
        if (version is 2 or 3) return version;
        throw BinaryPrimitives.ReverseEndianness(version) is 1 or 2 or 3
            ? _file.Error("is a big-endian GGUF file, which is not supported: convert the model to a little-endian one")
            : _file.Error($"is of GGUF version {version}; versions 2 and 3 are supported");
    }

    long ReadCount(string field, int leastBytes, int max)
    {
        var count = _cursor.ReadCount(field, leastBytes);
        return count <= max ? count : throw _file.Error($"{field} is {count}; at most {max} are allowed");
    }

    Dictionary<string, GgufValue> ReadPairs(long count)
    {
        Dictionary<string, GgufValue> pairs = new(StringComparer.Ordinal);
        for (long i = 0; i < count; i++)
        {
            var key = _cursor.ReadString($"metadata key {i}", MaxKeyBytes);
            if (!pairs.TryAdd(key, ReadValue(ErrorText.Quote(key)))) throw _file.Error($"metadata key {ErrorText.Quote(key)} is there twice");
        }
        return pairs;
    }

    GgufValue ReadValue(string key)
    {
        var type = ReadType(key);
        if (type is GgufValueType.Array) return ReadArray(key, depth: 1);
        var start = _cursor.Position;
        SkipElements(key, type, 1, depth: 0);
        return new GgufValue(type, IsArray: false, 1, start, _cursor.Position - start);
    }

    GgufValue ReadArray(string key, int depth)
    {
        if (depth > MaxArrayDepth) throw _file.Error($"{key} has arrays nested more than {MaxArrayDepth} deep");
        var type = ReadType(key);
        var count = _cursor.ReadCount($"element count of {key}", type.LeastBytes());
        var start = _cursor.Position;
        SkipElements(key, type, count, depth);
        return new GgufValue(type, IsArray: true, count, start, _cursor.Position - start);
    }

    void SkipElements(string key, GgufValueType type, long count, int depth)
    {
        if (type.FixedBytes() is > 0 and var bytes) _cursor.Skip(count * bytes, key);
        else if (type is GgufValueType.String)
            for (long i = 0; i < count; i++) _cursor.SkipString(key);
        else
            for (long i = 0; i < count; i++) ReadArray(key, depth + 1);
    }

    GgufValueType ReadType(string key)
    {
        var type = (GgufValueType)_cursor.ReadUInt32($"type of {key}");
        return Enum.IsDefined(type) ? type : throw _file.Error($"{key} is of unknown metadata type {(uint)type}");
    }

    uint AlignmentOf(GgufMetadata metadata)
    {
        if (!metadata.TryGetInt32(AlignmentKey, out var alignment)) return DefaultAlignment;
        if (alignment <= 0 || !int.IsPow2(alignment)) throw metadata.Error(AlignmentKey, $"is {alignment}; it must be a power of two");
        return (uint)alignment;
    }

    List<GgufTensor> ReadTensors(long count)
    {
        List<GgufTensor> tensors = [];
        HashSet<string> names = new(StringComparer.Ordinal);
        for (long i = 0; i < count; i++)
        {
            var name = _cursor.ReadString($"name of tensor {i}", MaxNameBytes);
            if (!names.Add(name)) throw _file.Error($"tensor {ErrorText.Quote(name)} is there twice");
            tensors.Add(ReadTensor(name));
        }
        return tensors;
    }

    GgufTensor ReadTensor(string name)
    {
        var tensor = $"tensor {ErrorText.Quote(name)}";
        var dimensionCount = _cursor.ReadUInt32($"dimension count of {tensor}");
        if (dimensionCount is 0 or > MaxDimensions) throw _file.Error($"{tensor} has {dimensionCount} dimensions; 1 to {MaxDimensions} are allowed");
        var dimensions = new ulong[dimensionCount];
        foreach (ref var dimension in dimensions.AsSpan())
        {
            dimension = _cursor.ReadUInt64($"dimensions of {tensor}");
            if (dimension == 0) throw _file.Error($"{tensor} has a dimension of 0");
        }
        return new GgufTensor(name, _cursor.ReadUInt32($"type of {tensor}"), dimensions, _cursor.ReadUInt64($"offset of {tensor}"));
    }

    long DataStart(uint alignment, int tensorCount)
    {
        var start = (_cursor.Position + alignment - 1) / alignment * alignment;
        if (tensorCount > 0 && start >= _file.Length) throw _file.Error("ends before the tensor data: the file is cut short");
        return start;
    }
}
