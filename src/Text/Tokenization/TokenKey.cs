namespace LlamaCluster.Text.Tokenization;

/// <summary>Where the bytes of a token that plain text can become are in the vocabulary's array.</summary>
readonly record struct TokenKey(int Start, int Length, int Id);
