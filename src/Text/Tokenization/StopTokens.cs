namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// Tokens that end a generation because of how they are written: many model files name only one of theirs as eos.
/// The names are those that llama.cpp knows for models of Llama's architecture (<c>llama-vocab.cpp</c>, special_eog_ids).
/// </summary>
static class StopTokens
{
    static readonly HashSet<string> Names =
    [
        "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<EOT>", "</s>",
    ];

    public static IEnumerable<int> Of(IEnumerable<AddedToken> tokens) => tokens.Where(token => token.IsSpecial && IsStop(token.Written)).Select(token => token.Id);

    public static bool IsStop(string written) => written.StartsWith('<') && Names.Contains(written);
}
