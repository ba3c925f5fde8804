namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// RoPE rotates the E numbers of a head in pairs, pair i by the i-th frequency. The transformers library takes numbers i and
/// i + E/2 for pair i, GGUF (as Meta's own code) numbers 2i and 2i + 1. Both give the same attention if the rows of Q and K that
/// make these numbers are ordered accordingly: a dot product does not depend on the order of its terms.
/// </summary>
static class RopeRowOrder
{
    /// <summary>The row of a folder's attn_q or attn_k that is row <paramref name="row"/> in GGUF's order.</summary>
    /// <param name="headSize">E, all of which is rotated.</param>
    public static long StoredRow(long row, int headSize)
    {
        var (head, within) = Math.DivRem(row, headSize);
        var (pair, second) = Math.DivRem(within, 2);
        return head * headSize + pair + second * (headSize / 2);
    }
}
