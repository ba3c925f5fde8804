namespace LlamaCluster.Kernels.Products;

/// <summary>
/// What a low-rank adapter (LoRA, https://arxiv.org/abs/2106.09685) adds to the outputs of a matrix w[N, C]: scale * B (A x). R is its rank. Of float types.
/// Of an embedding [V, D], to a row of which scale * B a is added, where a is that row of A, A is [V, R] and B [D, R].
/// </summary>
/// <param name="A">[R, C]</param>
/// <param name="B">[N, R]</param>
public sealed record LowRankPair(PackedMatrix A, PackedMatrix B, float Scale) : IDisposable
{
    /// <summary>R.</summary>
    public int Rank => B.Columns;

    /// <summary>Resident size.</summary>
    public long Bytes => A.Bytes + B.Bytes;

    public void Dispose()
    {
        A.Dispose();
        B.Dispose();
    }
}
