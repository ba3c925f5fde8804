using System.Buffers.Binary;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>Decodes metadata values as the types that are asked for; refuses those that are of another.</summary>
sealed class GgufValueReader(ModelFile file)
{
    /// <summary>Far above any vocabulary or list of merges; bounds what a hostile file can make this process allocate.</summary>
    const int MaxElements = 1 << 24;

    const int MaxStringBytes = 1 << 24;
    const int MaxStoredBytes = 1 << 28;

    public string String(string key, GgufValue value)
    {
        Expect(key, value, isArray: false, value.Type is GgufValueType.String, "a string");
        return Cursor(value).ReadString(key, MaxStringBytes);
    }

    public int Int32(string key, GgufValue value)
    {
        Expect(key, value, isArray: false, IsInteger(value.Type), "an integer");
        return Integer(key, value.Type, Cursor(value).Take(value.Type.FixedBytes(), key));
    }

    public float Single(string key, GgufValue value)
    {
        Expect(key, value, isArray: false, IsFloat(value.Type), "a float");
        return Float(value.Type, Cursor(value).Take(value.Type.FixedBytes(), key));
    }

    public bool Boolean(string key, GgufValue value)
    {
        Expect(key, value, isArray: false, value.Type is GgufValueType.Bool, "a bool");
        return Cursor(value).Take(1, key)[0] switch
        {
            0 => false,
            1 => true,
            var other => throw file.Error($"{key} is a bool of value {other}; only 0 and 1 are allowed"),
        };
    }

    public string[] Strings(string key, GgufValue value)
    {
        Expect(key, value, isArray: true, value.Type is GgufValueType.String, "an array of strings");
        var cursor = Cursor(value);
        var result = new string[value.Count];
        for (var i = 0; i < result.Length; i++) result[i] = cursor.ReadString(key, MaxStringBytes);
        return result;
    }

    public int[] Int32s(string key, GgufValue value)
    {
        Expect(key, value, isArray: true, IsInteger(value.Type), "an array of integers");
        var cursor = Cursor(value);
        var result = new int[value.Count];
        for (var i = 0; i < result.Length; i++) result[i] = Integer(key, value.Type, cursor.Take(value.Type.FixedBytes(), key));
        return result;
    }

    public float[] Singles(string key, GgufValue value)
    {
        Expect(key, value, isArray: true, IsFloat(value.Type), "an array of floats");
        var cursor = Cursor(value);
        var result = new float[value.Count];
        for (var i = 0; i < result.Length; i++) result[i] = Float(value.Type, cursor.Take(value.Type.FixedBytes(), key));
        return result;
    }

    /// <summary>The value as it is stored, from its type on.</summary>
    public byte[] Stored(string key, GgufValue value)
    {
        var before = value.IsArray ? sizeof(uint) + sizeof(uint) + sizeof(ulong) : sizeof(uint);
        if (value.Bytes > MaxStoredBytes) throw file.Error($"{key} has {value.Bytes} bytes, more than the {MaxStoredBytes} allowed");
        var stored = new byte[before + value.Bytes];
        file.Read(value.Offset - before, stored);
        return stored;
    }

    GgufCursor Cursor(GgufValue value) => new(file, value.Offset, value.Offset + value.Bytes);

    void Expect(string key, GgufValue value, bool isArray, bool rightType, string expected)
    {
        if (value.IsArray != isArray || !rightType) throw file.Error($"{key} is of type {value.Kind}; expected {expected}");
        if (value.Count > MaxElements) throw file.Error($"{key} has {value.Count} elements, more than the {MaxElements} allowed");
    }

    int Integer(string key, GgufValueType type, ReadOnlySpan<byte> bytes)
    {
        Int128 value = type switch
        {
            GgufValueType.UInt8 => bytes[0],
            GgufValueType.Int8 => (sbyte)bytes[0],
            GgufValueType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
            GgufValueType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
            GgufValueType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
            GgufValueType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
            GgufValueType.UInt64 => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
            _ => BinaryPrimitives.ReadInt64LittleEndian(bytes),
        };
        if (value < int.MinValue || value > int.MaxValue) throw file.Error($"{key} is {value}, which is out of range");
        return (int)value;
    }

    static float Float(GgufValueType type, ReadOnlySpan<byte> bytes) => type is GgufValueType.Float32
        ? BinaryPrimitives.ReadSingleLittleEndian(bytes)
        : (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes);

    static bool IsInteger(GgufValueType type) =>
        type is not (GgufValueType.Float32 or GgufValueType.Float64 or GgufValueType.Bool or GgufValueType.String or GgufValueType.Array);

    static bool IsFloat(GgufValueType type) => type is GgufValueType.Float32 or GgufValueType.Float64;
}
