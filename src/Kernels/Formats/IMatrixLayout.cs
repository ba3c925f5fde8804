namespace LlamaCluster.Kernels.Formats;

/// <summary>How the rows of a tensor type lie in a <see cref="PackedMatrix"/>.</summary>
unsafe interface IMatrixLayout
{
    /// <summary>Packed bytes of a group of <see cref="RowGroup.Rows"/> rows.</summary>
    long GroupBytes(int columns);

    /// <summary>Packs up to <see cref="RowGroup.Rows"/> rows into their group, which is zero where there are no rows.</summary>
    /// <param name="stored">The rows, one after the other, as they are stored.</param>
    /// <exception cref="InvalidDataException">A weight or a scale is infinite or not a number.</exception>
    void Pack(ReadOnlySpan<byte> stored, int rowBytes, byte* group);

    /// <summary>The values of one row of a group.</summary>
    void Decode(byte* group, int row, Span<float> destination);
}
