namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>Stores one block of a quantised type.</summary>
interface IBlockEncoder
{
    /// <param name="values">As many as the type's block has.</param>
    /// <param name="stored">The block's bytes, all of which are written.</param>
    static abstract void Encode(ReadOnlySpan<float> values, Span<byte> stored);
}
