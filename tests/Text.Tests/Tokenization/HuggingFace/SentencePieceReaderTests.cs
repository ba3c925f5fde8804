using System.Text;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Text.Tests.Tokenization.HuggingFace;

public sealed class SentencePieceReaderTests
{
    static readonly byte[] Model = File.ReadAllBytes(Recorded.PathOf("sentencepiece/tokenizer.model"));

    [Fact]
    public void EncodesAsSentencePiece()
    {
        var tokenizer = Open(Model).Tokenizer;
        Encoded.AssertIds(tokenizer, Recorded.PlainTexts, Recorded.Ids(Recorded.Read("sentencepiece.json")["ids"]!));
    }

    [Fact]
    public void GivesTextsBackExactly()
    {
        var tokenizer = Open(Model).Tokenizer;
        foreach (var text in Recorded.PlainTexts.Concat(Recorded.SpecialTexts)) Encoded.AssertRoundTrip(tokenizer, Encoding.UTF8.GetBytes(text));
    }

    [Fact]
    public void IsALlama2Tokenizer()
    {
        var text = Open(Model);

        Assert.Equal((1, 2), (text.Tokenizer.BosId, text.Tokenizer.EosId));
        Assert.Equal(("<s>", "</s>"), (text.BosText, text.EosText));
        Assert.Equal(1, text.Tokenizer.Encode("x", addSpecial: true, parseSpecial: false)[0]);
        Assert.Contains(2, text.Tokenizer.StopIds);
        Assert.True(text.Tokenizer.IsControl(text.Tokenizer.FindToken("<|turn|>")!.Value));
        Assert.False(text.Tokenizer.IsControl(text.Tokenizer.FindToken("<|user|>")!.Value));
    }

    [Fact]
    public void WithoutLegacyOnlyTheTextsStartGetsASpace()
    {
        var legacy = Open(Model).Tokenizer;
        var today = Open(Model, ("tokenizer_config.json", """{"legacy": false}""")).Tokenizer;
        var x = legacy.FindToken("x")!.Value;
        var spacedX = legacy.Encode("x", addSpecial: false, parseSpecial: false);

        Assert.Equal([.. spacedX, 1, .. spacedX], legacy.Encode("x<s>x", addSpecial: false, parseSpecial: true));
        Assert.Equal([.. spacedX, 1, x], today.Encode("x<s>x", addSpecial: false, parseSpecial: true));
        Encoded.AssertRoundTrip(today, "x<s>x <s> y"u8);
    }

    [Fact]
    public void TakesTokensThatOtherFilesAdd()
    {
        const string Decoder = """
            {"added_tokens_decoder": {
              "1": {"content": "<s>", "special": true}, "900": {"content": "<|im_end|>", "special": true},
              "901": {"content": "<x>", "special": false, "rstrip": true}},
             "eos_token": "<|im_end|>", "add_eos_token": true}
            """;
        var tokenizer = Open(Model, ("tokenizer_config.json", Decoder)).Tokenizer;
        Assert.Equal(902, tokenizer.VocabularySize);
        Assert.Equal([900, 901, 900], tokenizer.Encode("<|im_end|><x>  ", addSpecial: true, parseSpecial: true).Skip(1));
        Assert.Contains(900, tokenizer.StopIds);

        var older = Open(
            Model,
            ("added_tokens.json", """{"<pad>": 900, "<x>": 901}"""),
            ("special_tokens_map.json", """{"pad_token": {"content": "<pad>"}}""")).Tokenizer;
        Assert.True(older.IsControl(900));
        Assert.False(older.IsControl(901));
    }

    [Fact]
    public void AnAddedTokenWithoutARowIsTextLikeAnyOther()
    {
        var tokenizer = Open(Model, ("config.json", """{"vocab_size": 900}"""), ("added_tokens.json", """{"<pad>": 900}""")).Tokenizer;

        Assert.Equal(900, tokenizer.VocabularySize);
        Assert.DoesNotContain(900, tokenizer.Encode("<pad>", addSpecial: true, parseSpecial: true));
    }

    [Fact]
    public void RefusesTokensThatDoNotFit()
    {
        AssertRefused("tokenizer.model: pieces: token 1 is not '<x>'", Model,
            ("tokenizer_config.json", """{"added_tokens_decoder": {"1": {"content": "<x>"}}}"""));
        AssertRefused("tokenizer_config.json: added_tokens_decoder.x is no id", Model,
            ("tokenizer_config.json", """{"added_tokens_decoder": {"x": {"content": "<x>"}}}"""));
        AssertRefused("tokenizer.model: two tokens are added under the id 900", Model, ("added_tokens.json", """{"<x>": 900, "<y>": 900}"""));
        AssertRefused("tokenizer.model: with added tokens there are 900 tokens, but config.json's vocab_size is 800", Model,
            ("config.json", """{"vocab_size": 800}"""));
        AssertRefused("tokenizer_config.json: bos_token is '<x>', which is no token", Model, ("tokenizer_config.json", """{"bos_token": "<x>"}"""));
    }

    [Fact]
    public void AnyChangedByteGivesATokenizerOrAnError()
    {
        for (var at = 0; at < Model.Length; at += 211)
        {
            var changed = Model.ToArray();
            changed[at] ^= 0xFF;
            try
            {
                Encoded.AssertRoundTrip(Open(changed).Tokenizer, "The quick brown fox, \u00e9\n"u8);
            }
            catch (ModelFormatException e)
            {
                Assert.DoesNotContain('\n', e.Message);
            }
        }
    }

    [Fact]
    public void RefusesAPointerToAFile() =>
        AssertRefused("tokenizer.model: is a Git LFS pointer", Encoding.ASCII.GetBytes("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"));

    static void AssertRefused(string problem, byte[] model, params (string Name, string Content)[] others)
    {
        var error = Assert.Throws<ModelFormatException>(() => Open(model, others));
        Assert.Contains(problem, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    static ModelText Open(byte[] model, params (string Name, string Content)[] others)
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder.File("tokenizer.model"), model);
        foreach (var (name, content) in others) File.WriteAllText(folder.File(name), content);
        return ModelTextReader.Open(folder.Path);
    }
}
