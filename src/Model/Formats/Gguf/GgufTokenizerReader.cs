using System.Text;
using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Tokenization;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// Makes the tokenizer that a GGUF file's <c>tokenizer.ggml.*</c> keys describe, with llama.cpp's defaults for keys that are absent.
/// Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and llama.cpp's <c>llama-vocab.cpp</c>.
/// </summary>
sealed class GgufTokenizerReader(GgufMetadata metadata)
{
    const string Tokens = "tokenizer.ggml.tokens";
    const string Scores = "tokenizer.ggml.scores";
    const string Types = "tokenizer.ggml.token_type";
    const string Merges = "tokenizer.ggml.merges";

    /// <summary>
    /// Names that files have for Llama 3's rules: its split expression, words that are tokens become them whatever the merges say, and bos is put
    /// in front unless the file says otherwise.
    /// </summary>
    static readonly string[] Llama3Rules = ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"];

    /// <summary>Names for the same split expression without the other two rules. Llama 3 models of June 2024 have the first of them.</summary>
    static readonly string[] Llama3Splits = ["smaug-bpe", "dbrx", "glm4", "chatglm-bpe"];

    /// <summary>Names for Llama 4's split expression.</summary>
    static readonly string[] Llama4Splits = ["llama4", "gpt-4o"];

    /// <summary>The name for the split expression of Mistral's models since Nemo, with Llama 3's other two rules.</summary>
    internal const string Tekken = "tekken";

    public Tokenizer Read() => metadata.GetString("tokenizer.ggml.model") switch
    {
        "llama" => ReadSentencePiece(),
        "gpt2" => ReadByteLevel(),
        var other => throw metadata.Error("tokenizer.ggml.model", $"is {ErrorText.Quote(other)}, which is not supported; 'llama' and 'gpt2' are"),
    };

    SentencePieceTokenizer<MergesByScore> ReadSentencePiece()
    {
        RefuseTrue("tokenizer.ggml.remove_extra_whitespaces", "a tokenizer that drops spaces is not supported");
        var tokens = ReadTokens(TokenSpelling.SentencePiece);
        var scores = metadata.GetSingles(Scores);
        if (scores.Length < tokens.Vocabulary.Count) throw DiffersFromTokens(Scores, scores.Length, tokens.Vocabulary.Count);
        if (Array.FindIndex(scores, score => !float.IsFinite(score)) is >= 0 and var at)
            throw metadata.Error(Scores, $"has {scores[at]} for token {at}");
        var prefix = Boolean("tokenizer.ggml.add_space_prefix", absent: true) ? SpacePrefix.EachSegment : SpacePrefix.Never;
        var rule = new MergesByScore(tokens.Plain, Array.ConvertAll(scores, MergesByScore.Priority));
        var special = ReadSpecialIds(tokens, defaultBos: 1, defaultEos: 2, addsBos: true);
        return new SentencePieceTokenizer<MergesByScore>(tokens, special, rule, new SpaceRules(prefix));
    }

    ByteLevelTokenizer ReadByteLevel()
    {
        if (!metadata.TryGetString("tokenizer.ggml.pre", out var split))
            throw metadata.Error("tokenizer.ggml.pre", "is missing: convert the model again with a converter that writes it");
        var hasAllRules = split is Tekken || Llama3Rules.Contains(split);
        string[] known = [.. Llama3Rules, .. Llama3Splits, .. Llama4Splits, Tekken];
        if (!known.Contains(split))
            throw metadata.Error("tokenizer.ggml.pre", $"is {ErrorText.Quote(split)}, which is not supported; {string.Join(", ", known)} are");
        RefuseTrue("tokenizer.ggml.add_space_prefix", "a byte-level tokenizer with a space in front is not supported");
        var tokens = ReadTokens(TokenSpelling.ByteLevel);
        var special = ReadSpecialIds(tokens, defaultBos: null, defaultEos: null, addsBos: hasAllRules);
        var pieces = split is Tekken ? PieceRules.Tekken : Llama4Splits.Contains(split) ? PieceRules.Llama4 : PieceRules.Llama3;
        return new ByteLevelTokenizer(tokens, special, ReadMerges(tokens), wholeFirst: hasAllRules, pieces);
    }

    TokenSet ReadTokens(TokenSpelling spelling)
    {
        var tokens = metadata.GetStrings(Tokens);
        var types = metadata.GetInt32s(Types);
        if (types.Length < tokens.Length) throw DiffersFromTokens(Types, types.Length, tokens.Length);
        var size = metadata.TryGetString("general.architecture", out var architecture) ? $"{architecture}.vocab_size" : "llama.vocab_size";
        if (metadata.TryGetInt32(size, out var rows) && tokens.Length > rows)
            throw metadata.Error(Tokens, $"has {tokens.Length} tokens but {size} is {rows}");

        var builder = new VocabularyBuilder(spelling, Tokens, Error);
        var added = new AddedTokenList(Tokens, Error);
        for (var id = 0; id < tokens.Length; id++)
        {
            var kind = Kind(id, types[id], tokens[id]);
            builder.Add(id, Encoding.UTF8.GetBytes(tokens[id]), kind);
            if (kind is TokenKind.Control or TokenKind.Unknown or TokenKind.UserDefined)
                added.Add(new AddedToken(id, tokens[id]) { IsSpecial = kind is not TokenKind.UserDefined });
        }
        var vocabulary = builder.Build(out var plain, out var byteIds);
        return new TokenSet(vocabulary, plain, spelling, byteIds, added.Tokens);
    }

    /// <summary>Tokens for filling in, by the keys of today and by those that files of Code Llama have from before.</summary>
    /// <param name="count">Tokens that there are.</param>
    public InfillIds ReadInfill(int count) => new(
        Id("tokenizer.ggml.fim_pre_token_id", count) ?? Id("tokenizer.ggml.prefix_token_id", count),
        Id("tokenizer.ggml.fim_suf_token_id", count) ?? Id("tokenizer.ggml.suffix_token_id", count),
        Id("tokenizer.ggml.fim_mid_token_id", count) ?? Id("tokenizer.ggml.middle_token_id", count),
        Id("tokenizer.ggml.fim_rep_token_id", count),
        Id("tokenizer.ggml.fim_sep_token_id", count));

    /// <param name="addsBos">Whether bos is put in front of a text if the file does not say.</param>
    SpecialIds ReadSpecialIds(TokenSet tokens, int? defaultBos, int? defaultEos, bool addsBos)
    {
        var count = tokens.Vocabulary.Count;
        var bos = Id("tokenizer.ggml.bos_token_id", count) ?? (defaultBos < count ? defaultBos : null);
        var eos = Id("tokenizer.ggml.eos_token_id", count) ?? (defaultEos < count ? defaultEos : null);
        int?[] ends = [eos, Id("tokenizer.ggml.eot_token_id", count), Id("tokenizer.ggml.eom_token_id", count)];
        return new SpecialIds
        {
            Bos = bos,
            Eos = eos,
            Stops = ends.OfType<int>().Concat(StopTokens.Of(tokens.Added)).ToHashSet(),
            Before = Surrounding("tokenizer.ggml.add_bos_token", bos, absent: addsBos && bos is not null),
            After = Surrounding("tokenizer.ggml.add_eos_token", eos, absent: false),
        };
    }

    MergeTable ReadMerges(TokenSet tokens)
    {
        var merges = metadata.GetStrings(Merges);
        var builder = new MergeTableBuilder(merges.Length, TokenSpelling.ByteLevel, tokens, Merges, Error);
        foreach (var merge in merges) builder.Add(Encoding.UTF8.GetBytes(merge));
        return builder.Table;
    }

    // Some files give end-of-turn tokens the type of plain text. Like llama.cpp, this corrects the type by the token's name.
    TokenKind Kind(int id, int type, string token)
    {
        if (type is < (int)TokenKind.Normal or > (int)TokenKind.Byte)
            throw metadata.Error(Types, $"has {type} for token {id}; types are from {(int)TokenKind.Normal} to {(int)TokenKind.Byte}");
        return StopTokens.IsStop(token) ? TokenKind.Control : (TokenKind)type;
    }

    int? Id(string key, int tokenCount)
    {
        if (!metadata.TryGetInt32(key, out var id)) return null;
        if (id < 0 || id >= tokenCount) throw metadata.Error(key, $"is {id}, but there are {tokenCount} tokens");
        return id;
    }

    int[] Surrounding(string key, int? id, bool absent)
    {
        if (!Boolean(key, absent)) return [];
        return id is { } known ? [known] : throw metadata.Error(key, "is true, but the file does not say which token that is");
    }

    bool Boolean(string key, bool absent) => metadata.TryGetBoolean(key, out var value) ? value : absent;

    void RefuseTrue(string key, string reason)
    {
        if (Boolean(key, absent: false)) throw metadata.Error(key, $"is true; {reason}");
    }

    ModelFormatException DiffersFromTokens(string key, int count, int tokenCount) =>
        metadata.Error(key, $"has {count} elements, but {Tokens} has {tokenCount}");

    ModelFormatException Error(string problem) => new($"{metadata.Path}: {problem}");
}
