using System.Text;
using System.Text.Json;
using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// What the small files of a Hugging Face folder say about text: tokenizer_config.json, special_tokens_map.json,
/// generation_config.json, config.json, added_tokens.json and the chat template. Any of them may be missing.
/// </summary>
sealed class TextSettings
{
    readonly string _folder;
    readonly JsonFields? _tokenizerConfig;
    readonly JsonFields? _specialTokensMap;
    readonly JsonFields? _generationConfig;
    readonly JsonFields? _config;
    readonly int? _rows;
    readonly Dictionary<string, int> _beyondRows = new(StringComparer.Ordinal);

    /// <param name="rows">Rows of the embedding; null: config.json says it, or nobody does.</param>
    public TextSettings(string folder, int? rows = null)
    {
        (_folder, _rows) = (folder, rows);
        _tokenizerConfig = Find("tokenizer_config.json");
        _specialTokensMap = Find("special_tokens_map.json");
        _generationConfig = Find("generation_config.json");
        _config = Find("config.json") is { } config ? HuggingFaceConfig.TextPart(config) : null;
    }

    /// <summary>Whether each part of a text between special tokens gets a space in front, not only the first. This is the default.</summary>
    public bool IsLegacy => _tokenizerConfig?.FindBoolean("legacy") ?? true;

    /// <summary>Whether the files were made for one of the Python classes for Llama 1's and 2's tokenizers.</summary>
    public bool IsForLlama2 => _tokenizerConfig?.FindString("tokenizer_class") is
        "LlamaTokenizer" or "LlamaTokenizerFast" or "CodeLlamaTokenizer" or "CodeLlamaTokenizerFast";

    /// <summary>Rows of the model's embedding. There may not be more tokens than rows.</summary>
    public int? RowCount => _rows ?? _config?.FindInt32("vocab_size");

    /// <summary>Where the number of rows stands, for errors.</summary>
    public string RowSource => _rows is null ? "config.json's vocab_size" : "the number of its rows";

    /// <summary>
    /// How the files of the sentence-transformers library say that embeddings are pooled (1_Pooling/config.json); none: they say nothing, or something
    /// that no pooling here is.
    /// </summary>
    public Pooling Pooling()
    {
        if (Find(Path.Combine("1_Pooling", "config.json")) is not { } pooling) return Primitives.Pooling.None;
        (string Field, Pooling Means)[] known =
        [
            ("pooling_mode_mean_tokens", Primitives.Pooling.Mean), ("pooling_mode_cls_token", Primitives.Pooling.First),
            ("pooling_mode_lasttoken", Primitives.Pooling.Last),
        ];
        return known.FirstOrDefault(mode => pooling.FindBoolean(mode.Field) is true).Means;
    }

    /// <summary>
    /// The added tokens that the model has rows for. Many fine-tuned models add one for padding without a row in the embedding: nothing can
    /// produce it or stand in for it, so it is left out, and its written form is text like any other.
    /// </summary>
    /// <param name="listed">How many tokens the vocabulary itself lists.</param>
    public List<AddedToken> WithinRows(IEnumerable<AddedToken> added, int listed)
    {
        var within = added.ToLookup(token => token.Id < listed || token.Id < (RowCount ?? int.MaxValue));
        foreach (var token in within[false]) _beyondRows[token.Written] = token.Id;
        return [.. within[true]];
    }

    /// <summary>A prompt of a model must not need what the model has no rows for.</summary>
    public void RefuseBeyondRows(TemplateSource template)
    {
        foreach (var (written, id) in _beyondRows)
            if (template.Text.Contains(written, StringComparison.Ordinal))
                throw new ModelFormatException($"{template.Origin}: writes {ErrorText.Quote(written)}, {NoRow(id)}");
    }

    /// <summary>A special token's written form.</summary>
    /// <param name="role"><c>bos_token</c>, <c>eos_token</c>...</param>
    public string? SpecialToken(string role) => TextOf(_tokenizerConfig, role) ?? TextOf(_specialTokensMap, role);

    /// <summary>A special token's id; null if the files do not name it.</summary>
    public int? SpecialId(string role, TokenSet tokens)
    {
        if (SpecialToken(role) is not { } written) return null;
        if (tokens.Find(written) is { } id) return id;
        var file = TextOf(_tokenizerConfig, role) is null ? _specialTokensMap! : _tokenizerConfig!;
        throw file.Error(role, _beyondRows.TryGetValue(written, out var beyond)
            ? $"is {ErrorText.Quote(written)}, {NoRow(beyond)}"
            : $"is {ErrorText.Quote(written)}, which is no token");
    }

    /// <summary>Whether the files ask for a special token to be put at an end of a text; null if they do not say.</summary>
    /// <param name="field"><c>add_bos_token</c> or <c>add_eos_token</c></param>
    public bool? AddIf(string field, int? id)
    {
        var add = _tokenizerConfig?.FindBoolean(field);
        return add is not true || id is not null ? add : throw _tokenizerConfig!.Error(field, "is true, but no file says which token that is");
    }

    /// <summary>The ids that generation_config.json and then config.json have for a special token.</summary>
    /// <remarks>An id that is no token is left out, as transformers and vLLM do: some published files have one, and it can never be generated.</remarks>
    /// <param name="field"><c>bos_token_id</c> or <c>eos_token_id</c></param>
    public IEnumerable<int> Ids(string field, Vocabulary vocabulary)
    {
        foreach (var fields in new[] { _generationConfig, _config }.OfType<JsonFields>())
            foreach (var id in fields.FindInt32s(field) ?? [])
                if (vocabulary.KindOf(id) is not TokenKind.None)
                    yield return id;
    }

    /// <summary>Tokens added to a tokenizer.model: tokenizer_config.json's added_tokens_decoder, else added_tokens.json.</summary>
    public IEnumerable<AddedToken> AddedTokens()
    {
        if (_tokenizerConfig?.FindObject("added_tokens_decoder") is { } decoder)
            return decoder.Objects().Select(token => AddedTokenFields.Read(token.Fields, ParseId(decoder, token.Name)));
        if (Find("added_tokens.json") is not { } ids) return [];
        string[] roles = ["bos_token", "eos_token", "unk_token", "pad_token"];
        var special = roles.Select(SpecialToken).ToHashSet();
        return ids.Int32s().Select(token => new AddedToken(token.Number, token.Name) { IsSpecial = special.Contains(token.Name) });
    }

    /// <summary>chat_template.jinja, else tokenizer_config.json's chat_template; null if there is none.</summary>
    public TemplateSource? ChatTemplate()
    {
        const string Field = "chat_template";
        var file = Path.Combine(_folder, "chat_template.jinja");
        if (File.Exists(file)) return new TemplateSource(TextFile.Read(file), file);
        if (_tokenizerConfig is null) return null;
        var origin = $"{_tokenizerConfig.Path}: {Field}";
        if (_tokenizerConfig.KindOf(Field) is JsonValueKind.Array) return NamedTemplate(_tokenizerConfig.FindObjects(Field)!, origin);
        return _tokenizerConfig.FindString(Field) is { } text ? new TemplateSource(text, origin) : null;
    }

    /// <summary>Of several templates the one named default; of one, that one, whatever its name.</summary>
    static TemplateSource? NamedTemplate(IReadOnlyList<JsonFields> templates, string origin)
    {
        if (templates.Count == 0) return null;
        var chosen = templates.FirstOrDefault(template => template.GetString("name") == "default") ?? (templates.Count == 1 ? templates[0] : null);
        if (chosen is not null) return new TemplateSource(chosen.GetString("template"), origin);
        var names = string.Join(", ", templates.Select(template => ErrorText.Quote(template.GetString("name"))));
        return new TemplateSource("", origin) { Problem = $"there are chat templates named {names}, and none named 'default'" };
    }

    string NoRow(int id) => $"whose id {id} has no row in the embedding: {RowSource} is {RowCount}";

    JsonFields? Find(string name)
    {
        var path = Path.Combine(_folder, name);
        return File.Exists(path) ? JsonFile.Read(path) : null;
    }

    static string? TextOf(JsonFields? fields, string role) => fields?.KindOf(role) is JsonValueKind.Object
        ? fields.GetObject(role).GetString("content")
        : fields?.FindString(role);

    static int ParseId(JsonFields decoder, string id) =>
        int.TryParse(id, out var value) ? value : throw decoder.Error(id, "is no id");
}

/// <summary>Reads a text file of bounded size.</summary>
static class TextFile
{
    const int MaxBytes = 4 << 20;

    static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static string Read(string path)
    {
        using var file = ModelFile.Open(path);
        if (file.Length > MaxBytes) throw file.Error($"has {file.Length} bytes, more than the {MaxBytes} allowed");
        var bytes = new byte[file.Length];
        file.Read(0, bytes);
        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw file.Error("is not UTF-8", e);
        }
    }
}

/// <summary>
/// Reads an added token as tokenizer.json and tokenizer_config.json describe it. The field <c>normalized</c> is ignored: it asks to
/// search for the token after spaces were replaced and one was put in front, which finds it only after a space. Many older files have
/// this mistake. Every token is searched for in the text as it is written, as llama.cpp does.
/// </summary>
static class AddedTokenFields
{
    public static AddedToken Read(JsonFields fields, int id) => new(id, fields.GetString("content"))
    {
        IsSpecial = fields.FindBoolean("special") ?? false,
        StripsLeft = fields.FindBoolean("lstrip") ?? false,
        StripsRight = fields.FindBoolean("rstrip") ?? false,
        SingleWord = fields.FindBoolean("single_word") ?? false,
    };
}
