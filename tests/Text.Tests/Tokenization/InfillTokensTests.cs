using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tests.Tokenization;

public sealed class InfillTokensTests
{
    static readonly string[] Marks = ["▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"];

    [Theory]
    [InlineData(1)]   // a word like others, as Code Llama's files have it
    [InlineData(3)]
    [InlineData(4)]
    public void CodeLlamasPiecesAreKnownByTheirNames(int type)
    {
        var text = VocabularyFile.Open(WithMarks(type, out var first));
        Assert.Equal(new InfillTokens(first, first + 1, first + 2, first + 3, null, null), InfillTokens.Find(text.Tokenizer, text.Infill));
    }

    [Theory]
    [InlineData("prefix", "suffix", "middle")]
    [InlineData("fim_pre", "fim_suf", "fim_mid")]
    public void WhatAFileSaysComesFirst(string prefix, string suffix, string middle)
    {
        var pairs = WithMarks(1, out var first);
        pairs.Set($"tokenizer.ggml.{prefix}_token_id", 10u);
        pairs.Set($"tokenizer.ggml.{suffix}_token_id", 11u);
        pairs.Set($"tokenizer.ggml.{middle}_token_id", 12u);
        pairs.Set("tokenizer.ggml.fim_rep_token_id", 13u);
        pairs.Set("tokenizer.ggml.fim_sep_token_id", 14u);
        var text = VocabularyFile.Open(pairs);
        Assert.Equal(new InfillTokens(10, 11, 12, first + 3, 13, 14), InfillTokens.Find(text.Tokenizer, text.Infill));
    }

    [Fact]
    public void AFileThatNamesATokenBeyondTheVocabularyIsRefused()
    {
        var pairs = WithMarks(1, out _);
        pairs.Set("tokenizer.ggml.fim_mid_token_id", 1_000_000u);
        Assert.Contains("tokenizer.ggml.fim_mid_token_id", Assert.Throws<ModelFormatException>(() => VocabularyFile.Open(pairs)).Message);
    }

    [Fact]
    public void AModelWithoutThemCannotFillIn()
    {
        Assert.Null(InfillTokens.Find(VocabularyFile.Open(VocabularyFile.SentencePiece()).Tokenizer, InfillIds.None));
        Assert.Null(InfillTokens.Find(VocabularyFile.Open(VocabularyFile.Demo()).Tokenizer, InfillIds.None));
    }

    [Fact]
    public void TokensThatAFolderAddsAreKnownByTheirNames()
    {
        using var folder = new TempFolder();
        File.Copy(Recorded.PathOf("sentencepiece/tokenizer.model"), folder.File("tokenizer.model"));
        File.WriteAllText(folder.File("tokenizer_config.json"),
            """
            {"added_tokens_decoder": {"900": {"content": "<|fim_prefix|>", "special": true}, "901": {"content": "<|fim_suffix|>", "special": true},
             "902": {"content": "<|fim_middle|>", "special": true}, "903": {"content": "<|file_sep|>", "special": true},
             "904": {"content": "<|repo_name|>", "special": false}}}
            """);
        var text = ModelTextReader.Open(folder.Path);
        Assert.Equal(new InfillTokens(900, 901, 902, null, 904, 903), InfillTokens.Find(text.Tokenizer, text.Infill));
    }

    [Theory]
    [InlineData("def f(x):")]
    [InlineData("  return x")]
    [InlineData("\n\nreturn")]
    [InlineData("é")]
    [InlineData("")]
    public void ATextWithinAnotherHasNoSpaceInFront(string words)
    {
        foreach (var pairs in new[] { VocabularyFile.SentencePiece(), VocabularyFile.Demo() })
        {
            var tokenizer = VocabularyFile.Open(pairs).Tokenizer;
            List<int> ids = [7];
            tokenizer.EncodeWithin(System.Text.Encoding.UTF8.GetBytes(words), ids);
            Assert.Equal(7, ids[0]);
            Assert.Equal(words, System.Text.Encoding.UTF8.GetString([.. ids.Skip(1).SelectMany(id => tokenizer.BytesOf(id).ToArray())]));
        }
    }

    static GgufPairs WithMarks(int type, out int first)
    {
        var model = SentencePieceModel.Read(
            File.ReadAllBytes(Recorded.PathOf("sentencepiece/tokenizer.model")), problem => throw new InvalidOperationException(problem));
        first = model.Pieces.Count;
        var pairs = VocabularyFile.SentencePiece();
        pairs.Set("tokenizer.ggml.tokens", [.. Enumerable.Range(0, model.Pieces.Count).Select(model.Written), .. Marks]);
        pairs.Set("tokenizer.ggml.scores", [.. model.Scores, -1e6f, -1e6f, -1e6f, -1e6f]);
        pairs.Set("tokenizer.ggml.token_type", [.. model.Kinds.Select(kind => (int)kind), type, type, type, type]);
        return pairs;
    }
}
