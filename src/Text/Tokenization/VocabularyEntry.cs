namespace LlamaCluster.Text.Tokenization;

/// <summary>A token's kind and where its bytes are in the vocabulary's one array of bytes.</summary>
readonly record struct VocabularyEntry(int Start, int Length, TokenKind Kind);
