namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>Types of metadata values (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, <c>gguf_metadata_value_type</c>).</summary>
public enum GgufValueType : uint
{
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
}

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

/// <summary>Where a metadata value stands in its file. It is decoded when it is asked for.</summary>
/// <param name="Type">Its type; for an array, that of its elements.</param>
/// <param name="IsArray">An array; else a single value, with <paramref name="Count"/> 1.</param>
/// <param name="Count">Elements.</param>
/// <param name="Offset">Bytes from the start of the file to the first element.</param>
/// <param name="Bytes">Length of all elements, including the lengths before strings.</param>
public sealed record GgufValue(GgufValueType Type, bool IsArray, long Count, long Offset, long Bytes)
{
    /// <summary>For messages: <c>Float32</c>, <c>array of String</c>.</summary>
    public string Kind => IsArray ? $"array of {Type}" : Type.ToString();
}

/// <summary>An entry of a GGUF file's tensor table, as it stands there.</summary>
/// <param name="TypeNumber">ggml's type number, known to this program or not.</param>
/// <param name="Dimensions">1 to 4, none of them 0; the first is the contiguous one (columns).</param>
/// <param name="Offset">Bytes from the start of the tensor data.</param>
public sealed record GgufTensor(string Name, uint TypeNumber, IReadOnlyList<ulong> Dimensions, ulong Offset);

/// <summary>What stands before the tensor data of a GGUF file.</summary>
/// <param name="DataStart">Bytes from the start of the file to the tensor data.</param>
/// <param name="Alignment">In bytes; every tensor's offset is a multiple of it.</param>
sealed record GgufHeader(uint Version, GgufMetadata Metadata, IReadOnlyList<GgufTensor> Tensors, long DataStart, uint Alignment);

/// <summary>
/// Names of ggml's type numbers, those that this program reads and all others, so that a file of another type is refused by
/// name (https://github.com/ggml-org/ggml/blob/master/include/ggml.h, <c>ggml_type</c>).
/// </summary>
static class GgmlTypeNames
{
    public static string NameOf(uint type) => type switch
    {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        4 => "Q4_2",
        5 => "Q4_3",
        6 => "Q5_0",
        7 => "Q5_1",
        8 => "Q8_0",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        30 => "BF16",
        31 => "Q4_0_4_4",
        32 => "Q4_0_4_8",
        33 => "Q4_0_8_8",
        34 => "TQ1_0",
        35 => "TQ2_0",
        36 => "IQ4_NL_4_4",
        37 => "IQ4_NL_4_8",
        38 => "IQ4_NL_8_8",
        39 => "MXFP4",
        40 => "NVFP4",
        41 => "Q1_0",
        42 => "Q2_0",
        _ => $"number {type}",
    };
}
