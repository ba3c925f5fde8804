namespace LlamaCluster.Text.Tokenization.Merging;

/// <summary>
/// Two symbols merge if their text together is a token; the one with the highest score goes first. What SentencePiece does
/// (https://github.com/google/sentencepiece, <c>bpe_model.cc</c>), and llama.cpp with GGUF's scores.
/// </summary>
readonly struct MergesByScore(TokenIndex tokens, uint[] priorities) : IMergeRule
{
    public bool TryMerge(ReadOnlySpan<byte> text, in Symbol left, in Symbol right, out uint priority, out int id)
    {
        var found = tokens.TryFind(text.Slice(left.Start, left.Length + right.Length), out id);
        priority = found ? priorities[id] : 0;
        return found;
    }

    /// <summary>An integer that is the less the higher the score is. The score must be finite.</summary>
    public static uint Priority(float score)
    {
        var bits = BitConverter.SingleToUInt32Bits(score + 0f); // + 0: minus zero is zero
        var ascending = (int)bits < 0 ? ~bits : bits | 0x8000_0000;
        return ~ascending;
    }
}
