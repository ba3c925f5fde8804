namespace LlamaCluster.Model.Sampling;

/// <summary>Which ids may be sampled: bit <c>id % 8</c> of byte <c>id / 8</c>.</summary>
static class TokenMask
{
    public static int Bytes(int vocabularySize) => (vocabularySize + 7) / 8;

    /// <summary>Bits beyond the vocabulary do not count.</summary>
    public static bool AllowsAny(ReadOnlySpan<byte> mask, int vocabularySize)
    {
        var whole = vocabularySize / 8;
        return mask[..whole].ContainsAnyExcept((byte)0) || (vocabularySize % 8 != 0 && (mask[whole] & ((1 << (vocabularySize % 8)) - 1)) != 0);
    }

    /// <summary>Scores of other ids become -infinity.</summary>
    public static void Apply(ReadOnlySpan<byte> mask, Span<float> scores)
    {
        for (var first = 0; first < scores.Length; first += 8)
        {
            int bits = mask[first / 8];
            var eight = scores[first..Math.Min(first + 8, scores.Length)];
            if (bits == 0) eight.Fill(float.NegativeInfinity);
            else if (bits != 0xFF)
                for (var i = 0; i < eight.Length; i++)
                    if ((bits >> i & 1) == 0) eight[i] = float.NegativeInfinity;
        }
    }
}
