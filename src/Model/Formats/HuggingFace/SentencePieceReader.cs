using LlamaCluster.Primitives;
using LlamaCluster.Text.Tokenization;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>Makes a tokenizer from a folder's tokenizer.model and the tokens that other files of the folder add, as LlamaTokenizer does.</summary>
sealed class SentencePieceReader(string path, TextSettings settings)
{
    const long MaxBytes = 1L << 28;

    public Tokenizer Read()
    {
        var model = ReadModel(path);
        var tokens = ReadTokens(model);
        var priorities = new uint[tokens.Vocabulary.Count];
        for (var id = 0; id < model.Scores.Count; id++) priorities[id] = MergesByScore.Priority(model.Scores[id]);
        var prefix = !model.AddDummyPrefix ? SpacePrefix.Never : settings.IsLegacy ? SpacePrefix.EachSegment : SpacePrefix.TextStart;
        return new SentencePieceTokenizer<MergesByScore>(
            tokens, ReadSpecialIds(model, tokens), new MergesByScore(tokens.Plain, priorities), new SpaceRules(prefix));
    }

    /// <summary>The vocabulary file alone.</summary>
    public static SentencePieceModel ReadModel(string path)
    {
        using var file = ModelFile.Open(path);
        if (file.IsLfsPointer()) throw file.Error(ModelFile.LfsPointerProblem);
        if (file.Length > MaxBytes) throw file.Error($"has {file.Length} bytes, more than the {MaxBytes} allowed");
        var bytes = new byte[file.Length];
        file.Read(0, bytes);
        return SentencePieceModel.Read(bytes, problem => file.Error(problem));
    }

    TokenSet ReadTokens(SentencePieceModel model)
    {
        var builder = new VocabularyBuilder(TokenSpelling.SentencePiece, "pieces", Error);
        var added = new AddedTokenList("pieces", Error);
        var overlays = new Dictionary<int, AddedToken>();
        foreach (var token in settings.WithinRows(settings.AddedTokens(), model.Pieces.Count))
            if (!overlays.TryAdd(token.Id, token)) throw Error($"two tokens are added under the id {token.Id}, one of them {ErrorText.Quote(token.Written)}");
        for (var id = 0; id < model.Pieces.Count; id++)
        {
            var kind = model.Kinds[id];
            builder.Add(id, model.Pieces[id], kind);
            if (kind is TokenKind.Control or TokenKind.Unknown or TokenKind.UserDefined && !overlays.ContainsKey(id))
                added.Add(new AddedToken(id, model.Written(id)) { IsSpecial = kind is not TokenKind.UserDefined });
        }
        foreach (var token in overlays.Values)
        {
            builder.Overlay(token);
            added.Add(token);
        }
        if (builder.Count > settings.RowCount)
            throw Error($"with added tokens there are {builder.Count} tokens, but {settings.RowSource} is {settings.RowCount}");
        var vocabulary = builder.Build(out var plain, out var byteIds);
        return new TokenSet(vocabulary, plain, TokenSpelling.SentencePiece, byteIds, added.Tokens);
    }

    SpecialIds ReadSpecialIds(SentencePieceModel model, TokenSet tokens)
    {
        var ids = new FolderSpecialIds(settings, tokens)
        {
            DefaultBos = tokens.Vocabulary.KindOf(model.BosId) is TokenKind.None ? null : model.BosId,
            DefaultEos = tokens.Vocabulary.KindOf(model.EosId) is TokenKind.None ? null : model.EosId,
            IsLlama2 = true,
        };
        return ids.Read([], []);
    }

    ModelFormatException Error(string problem) => new($"{path}: {problem}");
}
