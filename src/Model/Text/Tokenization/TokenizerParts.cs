namespace LlamaCluster.Model.Text.Tokenization;

/// <summary>What every kind of tokenizer is made of, whichever file it was read from.</summary>
/// <param name="Plain">The tokens that plain text can become.</param>
/// <param name="ByteIds">The token of each byte. Shape [256].</param>
/// <param name="IgnoreMerges">A whole piece of text that is a token becomes it, whatever the merges say.</param>
sealed record TokenizerParts(
    Vocabulary Vocabulary, TokenIndex Plain, TokenSpelling Spelling, int[] ByteIds, IReadOnlyList<AddedToken> Added, SpecialIds Special, bool IgnoreMerges);
