namespace LlamaCluster.Model.Sampling;

/// <param name="Total">Times that a token occurs in prompt and output.</param>
/// <param name="Generated">Times that it occurs in the output.</param>
readonly record struct TokenUse(int Total, int Generated);
