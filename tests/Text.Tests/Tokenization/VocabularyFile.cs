using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Testing;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tests.Tokenization;

/// <summary>GGUF files that hold a tokenizer and nothing else.</summary>
static class VocabularyFile
{
    /// <summary>The recorded SentencePiece model as a converter would write it.</summary>
    public static GgufPairs SentencePiece()
    {
        var bytes = File.ReadAllBytes(Recorded.PathOf("sentencepiece/tokenizer.model"));
        var model = SentencePieceModel.Read(bytes, problem => throw new InvalidOperationException(problem));
        var pairs = new GgufPairs();
        pairs.Set("tokenizer.ggml.model", "llama");
        pairs.Set("tokenizer.ggml.tokens", [.. Enumerable.Range(0, model.Pieces.Count).Select(model.Written)]);
        pairs.Set("tokenizer.ggml.scores", model.Scores);
        pairs.Set("tokenizer.ggml.token_type", [.. model.Kinds.Select(kind => (int)kind)]);
        return pairs;
    }

    /// <summary>The demo model's tokenizer.</summary>
    public static GgufPairs Demo()
    {
        using var file = GgufFile.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));
        var pairs = new GgufPairs();
        foreach (var key in file.Metadata.Values.Keys.Where(key => key.StartsWith("tokenizer.", StringComparison.Ordinal))) pairs.Copy(file.Metadata, key);
        return pairs;
    }

    public static ModelText Open(GgufPairs pairs)
    {
        using var folder = new TempFolder();
        using (var file = File.Create(folder.File("model.gguf"))) GgufWriter.Write(file, pairs, source: null!, tensors: []);
        return ModelTextReader.Open(folder.File("model.gguf"));
    }
}
