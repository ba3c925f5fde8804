namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>Sizes of metadata values.</summary>
static class GgufValueTypes
{
    /// <summary>Bytes of a value of a fixed size; 0 for strings and arrays.</summary>
    public static int FixedBytes(this GgufValueType type) => type switch
    {
        GgufValueType.UInt8 or GgufValueType.Int8 or GgufValueType.Bool => 1,
        GgufValueType.UInt16 or GgufValueType.Int16 => 2,
        GgufValueType.UInt32 or GgufValueType.Int32 or GgufValueType.Float32 => 4,
        GgufValueType.UInt64 or GgufValueType.Int64 or GgufValueType.Float64 => 8,
        _ => 0,
    };

    /// <summary>The fewest bytes that a value can take: what a count of values must be justified by.</summary>
    public static int LeastBytes(this GgufValueType type) => type switch
    {
        GgufValueType.String => sizeof(ulong),
        GgufValueType.Array => sizeof(uint) + sizeof(ulong),
        _ => type.FixedBytes(),
    };
}
