namespace LlamaCluster.Kernels.Decoding;

/// <summary>One stored block to its elements.</summary>
delegate void BlockDecoder(ReadOnlySpan<byte> stored, Span<float> destination);
