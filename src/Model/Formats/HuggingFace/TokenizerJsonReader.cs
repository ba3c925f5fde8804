using LlamaCluster.Primitives;
using LlamaCluster.Text.Tokenization;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// Makes a tokenizer from tokenizer.json: byte-level BPE if the file splits and encodes text as Llama 3 or 4 does, else BPE with byte fallback
/// as in Llama 1 and 2. Truncation and padding are ignored, because they serve batches in training.
/// </summary>
sealed class TokenizerJsonReader(TokenizerJson json, TextSettings settings)
{
    readonly JsonFields _model = json.Fields.GetObject("model");

    public Tokenizer Read()
    {
        RefuseOtherModels();
        var text = TextRules.Read(json.Fields);
        var tokens = ReadTokens(text.Spelling);
        var merges = ReadMerges(text.Spelling, tokens);
        var special = ReadSpecialIds(tokens);
        var wholeFirst = _model.FindBoolean("ignore_merges") ?? false;
        return text.Spelling is TokenSpelling.ByteLevel
            ? new ByteLevelTokenizer(tokens, special, merges, wholeFirst, text.Pieces)
            : new SentencePieceTokenizer<MergesByRank>(tokens, special, new MergesByRank(merges), text.Spaces, wholeFirst);
    }

    void RefuseOtherModels()
    {
        if (json.Fields.FindString("version") is { } version and not "1.0")
            throw json.Fields.Error("version", $"is {ErrorText.Quote(version)}, which is not supported; '1.0' is");
        if (_model.FindString("type") is { } type and not "BPE")
            throw _model.Error("type", $"is {ErrorText.Quote(type)}, which is not supported; 'BPE' is");
        if (_model.Has("vocab")) throw _model.Error("vocab", "is not an object");
        if (_model.Has("merges")) throw _model.Error("merges", "is not an array");
        if (_model.FindSingle("dropout") is { } dropout and not 0) throw _model.Error("dropout", $"is {dropout}; only 0 is supported");
        foreach (var affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (_model.FindString(affix) is { Length: > 0 } value) throw _model.Error(affix, $"is {ErrorText.Quote(value)}, which is not supported");
    }

    TokenSet ReadTokens(TokenSpelling spelling)
    {
        var builder = new VocabularyBuilder(spelling, "model.vocab", json.Error);
        var hasByteTokens = spelling is not TokenSpelling.ByteLevel;
        if (hasByteTokens && _model.FindBoolean("byte_fallback") is not true)
            throw _model.Error("byte_fallback", "is not true; only byte-level vocabularies and those with tokens for all bytes are supported");
        for (var i = 0; i < json.Ids.Count; i++)
        {
            var isByte = hasByteTokens && TokenSpellings.TryParseByte(json.Tokens[i], out _);
            builder.Add(json.Ids[i], json.Tokens[i], isByte ? TokenKind.Byte : TokenKind.Normal);
        }
        var added = settings.WithinRows(ReadAddedTokens(), builder.Count);
        foreach (var token in added) builder.Overlay(token);
        if (builder.Count > settings.RowCount) throw json.Error($"has ids up to {builder.Count - 1}, but {settings.RowSource} is {settings.RowCount}");
        var vocabulary = builder.Build(out var plain, out var byteIds);
        var tokens = new TokenSet(vocabulary, plain, spelling, byteIds, added);
        RefuseSecondIds(tokens);
        return tokens;
    }

    IReadOnlyList<AddedToken> ReadAddedTokens()
    {
        var added = new AddedTokenList("added_tokens", json.Error);
        foreach (var fields in json.Fields.FindObjects("added_tokens") ?? []) added.Add(AddedTokenFields.Read(fields, fields.GetInt32("id")));
        return added.Tokens;
    }

    void RefuseSecondIds(TokenSet tokens)
    {
        foreach (var token in tokens.Added)
            if (tokens.FindPlain(token.Written) is { } id && id != token.Id)
                throw json.Error($"added_tokens: {ErrorText.Quote(token.Written)} has id {token.Id}, but in model.vocab it has id {id}");
    }

    MergeTable ReadMerges(TokenSpelling spelling, TokenSet tokens)
    {
        var parts = json.Merges;
        var step = json.MergesArePairs ? 2 : 1;
        var builder = new MergeTableBuilder(parts.Count / step, spelling, tokens, "model.merges", json.Error);
        for (var i = 0; i < parts.Count; i += step)
        {
            if (json.MergesArePairs) builder.Add(parts[i], parts[i + 1]);
            else builder.Add(parts[i]);
        }
        return builder.Table;
    }

    SpecialIds ReadSpecialIds(TokenSet tokens)
    {
        var processor = PostProcessorRules.Read(json.Fields, tokens);
        return new FolderSpecialIds(settings, tokens) { IsLlama2 = settings.IsForLlama2 }.Read(processor.Before, processor.After);
    }
}
