namespace LlamaCluster.Text.Tokenization;

/// <summary>An added token found in a text, with the white space that goes with it.</summary>
readonly record struct AddedTokenMatch(int Start, int End, int Id);
