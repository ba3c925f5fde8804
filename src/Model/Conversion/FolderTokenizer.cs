using System.Text;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Tokenization;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Model.Conversion;

/// <summary>GGUF metadata of a model in a Hugging Face folder: name, config, tokenizer, chat template.</summary>
static class FolderDescription
{
    public static GgufPairs Of(string folder, IModelWeights weights)
    {
        var pairs = new GgufPairs();
        pairs.Set("general.type", "model");
        pairs.Set("general.name", weights.Name);
        GgufConfigWriter.Write(pairs, weights.Config);
        new FolderTokenizer(folder, weights.Config.VocabularySize).Write(pairs);
        return pairs;
    }
}

/// <summary>
/// Writes a folder's tokenizer as GGUF's <c>tokenizer.*</c> keys, as llama.cpp's converter does: the byte-level BPE of Llama 3 and 4 from
/// tokenizer.json, the SentencePiece vocabularies of Llama 1 and 2 from tokenizer.model, whose scores only that file has.
/// </summary>
/// <param name="vocabularySize">V: ids without a token are filled up to it.</param>
sealed class FolderTokenizer(string folder, int vocabularySize)
{
    readonly string _jsonPath = Path.Combine(folder, "tokenizer.json");
    readonly string _modelPath = Path.Combine(folder, "tokenizer.model");

    public void Write(GgufPairs pairs)
    {
        var text = ModelTextReader.Open(folder);
        switch (text.Tokenizer)
        {
            case ByteLevelTokenizer byteLevel:
                WriteByteLevel(pairs, byteLevel);
                break;
            case Tokenizer sentencePiece when File.Exists(_modelPath):
                WriteSentencePiece(pairs, sentencePiece.Tokens);
                break;
            default:
                throw new ModelFormatException($"{folder}: has no tokenizer.model, without which this tokenizer cannot be written as GGUF");
        }
        WriteSpecialIds(pairs, text.Tokenizer);
        if (text.TemplateSource is { } template) pairs.Set("tokenizer.chat_template", template);
    }

    void WriteByteLevel(GgufPairs pairs, ByteLevelTokenizer tokenizer)
    {
        var json = TokenizerJson.Read(_jsonPath);
        pairs.Set("tokenizer.ggml.model", "gpt2");
        pairs.Set("tokenizer.ggml.pre", tokenizer.Pieces switch
        {
            PieceRules.Llama4 => "llama4",
            PieceRules.Tekken => GgufTokenizerReader.Tekken,
            _ => "llama-bpe",
        });
        WriteTokens(pairs, tokenizer.Tokens, json.Ids.Select((id, index) => (id, Encoding.UTF8.GetString(json.Tokens[index]))));
        pairs.Set("tokenizer.ggml.merges", MergesOf(json));
    }

    static string[] MergesOf(TokenizerJson json)
    {
        var parts = Enumerable.Range(0, json.Merges.Count).Select(index => Encoding.UTF8.GetString(json.Merges[index]));
        return json.MergesArePairs ? [.. parts.Chunk(2).Select(pair => $"{pair[0]} {pair[1]}")] : [.. parts];
    }

    void WriteSentencePiece(GgufPairs pairs, TokenSet tokens)
    {
        var model = SentencePieceReader.ReadModel(_modelPath);
        pairs.Set("tokenizer.ggml.model", "llama");
        WriteTokens(pairs, tokens, Enumerable.Range(0, model.Pieces.Count).Select(id => (id, model.Written(id))));
        var scores = new float[vocabularySize];
        for (var id = 0; id < model.Scores.Count; id++) scores[id] = model.Scores[id];
        pairs.Set("tokenizer.ggml.scores", scores);
        pairs.Set("tokenizer.ggml.add_space_prefix", model.AddDummyPrefix);
    }

    void WriteTokens(GgufPairs pairs, TokenSet tokens, IEnumerable<(int Id, string Written)> vocabulary)
    {
        var written = new string[vocabularySize];
        var kinds = new int[vocabularySize];
        for (var id = 0; id < vocabularySize; id++)
        {
            var kind = tokens.Vocabulary.KindOf(id);
            written[id] = $"[PAD{id}]";
            kinds[id] = (int)(kind is TokenKind.None ? TokenKind.Unused : kind);
        }
        foreach (var (id, text) in vocabulary) written[id] = text;
        foreach (var token in tokens.Added) written[token.Id] = token.Written;
        pairs.Set("tokenizer.ggml.tokens", written);
        pairs.Set("tokenizer.ggml.token_type", kinds);
    }

    // GGUF has room for three ids to stop on; more are known by how they are written.
    void WriteSpecialIds(GgufPairs pairs, ITokenizer tokenizer)
    {
        if (tokenizer.BosId is { } bos) pairs.Set("tokenizer.ggml.bos_token_id", (uint)bos);
        if (tokenizer.EosId is { } eos) pairs.Set("tokenizer.ggml.eos_token_id", (uint)eos);
        List<int> around = [];
        tokenizer.Encode([], around, addSpecial: true, parseSpecial: false);
        pairs.Set("tokenizer.ggml.add_bos_token", tokenizer.BosId is { } first && around.Contains(first));
        pairs.Set("tokenizer.ggml.add_eos_token", tokenizer.EosId is { } last && around.Contains(last));
        var others = tokenizer.StopIds.Where(id => id != tokenizer.EosId).OrderBy(id => IsKnown(tokenizer, id)).ThenBy(id => id).ToList();
        if (others.Count > 0) pairs.Set("tokenizer.ggml.eot_token_id", (uint)others[0]);
        if (others.Count > 1) pairs.Set("tokenizer.ggml.eom_token_id", (uint)others[1]);
        if (others.Skip(2).Any(id => !IsKnown(tokenizer, id))) throw new ModelFormatException($"{folder}: has more ids to stop on than GGUF has keys for");
    }

    static bool IsKnown(ITokenizer tokenizer, int id) => StopTokens.IsStop(Encoding.UTF8.GetString(tokenizer.BytesOf(id).Span));
}
