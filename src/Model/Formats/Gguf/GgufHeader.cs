namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>What stands before the tensor data of a GGUF file.</summary>
/// <param name="DataStart">Bytes from the start of the file to the tensor data.</param>
/// <param name="Alignment">In bytes; every tensor's offset is a multiple of it.</param>
sealed record GgufHeader(uint Version, GgufMetadata Metadata, IReadOnlyList<GgufTensor> Tensors, long DataStart, uint Alignment);
