namespace LlamaCluster.Model.Formats.Gguf;

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
