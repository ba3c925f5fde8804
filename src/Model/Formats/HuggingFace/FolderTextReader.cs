using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Tokenization;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>Reads the text part of a Hugging Face folder: tokenizer.json, else tokenizer.model, and the small files beside it.</summary>
/// <param name="rows">Rows of the embedding; null: config.json says it, or nobody does.</param>
sealed class FolderTextReader(string folder, int? rows = null)
{
    const string Json = "tokenizer.json";
    const string SentencePiece = "tokenizer.model";

    readonly TextSettings _settings = new(folder, rows);

    /// <summary>Whether there is a vocabulary in a folder.</summary>
    public static bool HasTokenizer(string folder) => File.Exists(Path.Combine(folder, Json)) || File.Exists(Path.Combine(folder, SentencePiece));

    /// <summary>The files of a folder that say what its token ids stand for, those that there are, always in the same order.</summary>
    public static IEnumerable<string> TokenizerFilesOf(string folder) =>
        ((string[])[Json, SentencePiece, "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"])
        .Select(name => Path.Combine(folder, name)).Where(File.Exists);

    public ModelText Read()
    {
        var tokenizer = ReadTokenizer();
        var template = _settings.ChatTemplate();
        if (template is not null) _settings.RefuseBeyondRows(template);
        return new ModelText(tokenizer, template, _settings.SpecialToken("bos_token"), _settings.SpecialToken("eos_token"))
        {
            Pooling = _settings.Pooling(),
        };
    }

    Tokenizer ReadTokenizer()
    {
        var json = Path.Combine(folder, Json);
        if (File.Exists(json)) return new TokenizerJsonReader(TokenizerJson.Read(json), _settings).Read();
        var model = Path.Combine(folder, SentencePiece);
        if (File.Exists(model)) return new SentencePieceReader(model, _settings).Read();
        throw HuggingFaceFolder.Missing(folder, $"{Json} or {SentencePiece}");
    }
}

/// <summary>
/// Finds bos, eos, the ids that stop a generation and the ids added around a text, from all files of a folder that mention them. The
/// rules are those of the transformers library. The tokenizers of Llama 1 and 2 (class LlamaTokenizer) add bos and no eos unless told
/// otherwise. For others tokenizer_config.json decides, else tokenizer.json's post-processor.
/// </summary>
sealed class FolderSpecialIds(TextSettings settings, TokenSet tokens)
{
    /// <summary>Bos according to the vocabulary file itself; null if it does not say.</summary>
    public int? DefaultBos { get; init; }

    public int? DefaultEos { get; init; }

    /// <summary>Whether the tokenizer is one of Llama 1 or 2.</summary>
    public required bool IsLlama2 { get; init; }

    /// <param name="before">The ids that tokenizer.json's post-processor puts before a text.</param>
    /// <param name="after">The ids that it puts after a text.</param>
    public SpecialIds Read(int[] before, int[] after)
    {
        var bos = settings.SpecialId("bos_token", tokens) ?? First("bos_token_id") ?? DefaultBos;
        var eos = settings.SpecialId("eos_token", tokens) ?? First("eos_token_id") ?? DefaultEos;
        var addBos = settings.AddIf("add_bos_token", bos) ?? (IsLlama2 ? bos is not null : null);
        var addEos = settings.AddIf("add_eos_token", eos) ?? (IsLlama2 ? false : null);
        return new SpecialIds
        {
            Bos = bos,
            Eos = eos,
            Stops = settings.Ids("eos_token_id", tokens.Vocabulary).Concat(StopTokens.Of(tokens.Added)).Concat(eos is { } end ? [end] : []).ToHashSet(),
            Before = Adjust(before, addBos, bos),
            After = Adjust(after, addEos, eos),
        };
    }

    static int[] Adjust(int[] ids, bool? add, int? special) => (add, special) switch
    {
        (true, { } id) => ids.Contains(id) ? ids : [id],
        (false, { } id) => [.. ids.Where(other => other != id)],
        _ => ids,
    };

    int? First(string field) => settings.Ids(field, tokens.Vocabulary).Select(id => (int?)id).FirstOrDefault();
}
