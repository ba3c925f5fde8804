namespace LlamaCluster.Text.Tokenization;

/// <summary>What a SentencePiece vocabulary does about spaces.</summary>
/// <param name="PrefixIfAbsent">
/// No prefix where the text starts with a space already. A text with and one without that space then have the same ids, and
/// decoding gives the one without.
/// </param>
/// <param name="SplitsWords">No token has a space other than as its first character.</param>
readonly record struct SpaceRules(SpacePrefix Prefix, bool PrefixIfAbsent = false, bool SplitsWords = false);
