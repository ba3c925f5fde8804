namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>An entry of a GGUF file's tensor table, as it stands there.</summary>
/// <param name="TypeNumber">ggml's type number, known to this program or not.</param>
/// <param name="Dimensions">1 to 4, none of them 0; the first is the contiguous one (columns).</param>
/// <param name="Offset">Bytes from the start of the tensor data.</param>
public sealed record GgufTensor(string Name, uint TypeNumber, IReadOnlyList<ulong> Dimensions, ulong Offset);
