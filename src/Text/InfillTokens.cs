namespace LlamaCluster.Text;

/// <summary>What a model's files say of its tokens for filling in; null where they say nothing.</summary>
public sealed record InfillIds(int? Prefix = null, int? Suffix = null, int? Middle = null, int? Repository = null, int? File = null)
{
    public static InfillIds None { get; } = new();
}

/// <summary>
/// The tokens by which a model is asked for the text between two others: before the text that comes first, before the one that comes last, and where its own
/// begins. Models that were not trained to fill in have none.
/// </summary>
/// <param name="End">Ends a text that was filled in; null: what ends other answers.</param>
/// <param name="Repository">Before the name of a project; null: the model knows none.</param>
/// <param name="File">Before the name of a file and its text.</param>
public sealed record InfillTokens(int Prefix, int Suffix, int Middle, int? End, int? Repository, int? File)
{
    // Written forms that models of Llama's architecture have: Code Llama, DeepSeek Coder, and those that were trained like StarCoder or Qwen's.
    static readonly string[] Prefixes = ["▁<PRE>", "<PRE>", "<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>", "<｜fim▁begin｜>", "<|code_prefix|>"];
    static readonly string[] Suffixes = ["▁<SUF>", "<SUF>", "<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>", "<｜fim▁hole｜>", "<|code_suffix|>"];
    static readonly string[] Middles = ["▁<MID>", "<MID>", "<|fim_middle|>", "<fim_middle>", "<fim-middle>", "<｜fim▁end｜>", "<|code_middle|>"];
    static readonly string[] Ends = ["▁<EOT>", "<EOT>"];
    static readonly string[] Repositories = ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<reponame>", "<REPO>"];
    static readonly string[] Files = ["<|file_sep|>", "<file_sep>"];

    /// <param name="said">What the model's files say; tokens that they do not name are known by how they are written.</param>
    /// <returns>Null if the model cannot fill in.</returns>
    public static InfillTokens? Find(ITokenizer tokenizer, InfillIds said)
    {
        int? Named(string[] written) => written.Select(tokenizer.FindToken).FirstOrDefault(id => id is not null);
        return (said.Prefix ?? Named(Prefixes), said.Suffix ?? Named(Suffixes), said.Middle ?? Named(Middles)) is ({ } prefix, { } suffix, { } middle)
            ? new(prefix, suffix, middle, Named(Ends), said.Repository ?? Named(Repositories), said.File ?? Named(Files))
            : null;
    }
}
