using System.Text;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Text.Tests.Tokenization.Gguf;

public sealed class GgufTokenizerReaderTests
{
    const string Tokens = "tokenizer.ggml.tokens";
    const string Types = "tokenizer.ggml.token_type";

    [Theory]
    [InlineData("sentencepiece")]
    [InlineData("demo")]
    public void EncodesAsLlamaCpp(string model)
    {
        var tokenizer = VocabularyFile.Open(Pairs(model)).Tokenizer;
        var recorded = Recorded.Read("llama-cpp.json")[model]!;

        Encoded.AssertIds(tokenizer, Recorded.PlainTexts, Recorded.Ids(recorded["plain"]!));
        Encoded.AssertIds(tokenizer, Recorded.SpecialTexts, Recorded.Ids(recorded["special"]!), parseSpecial: true);
    }

    [Theory]
    [InlineData("sentencepiece")]
    [InlineData("demo")]
    public void GivesTextsBackExactly(string model)
    {
        var tokenizer = VocabularyFile.Open(Pairs(model)).Tokenizer;
        foreach (var text in Recorded.PlainTexts.Concat(Recorded.SpecialTexts)) Encoded.AssertRoundTrip(tokenizer, Encoding.UTF8.GetBytes(text));
    }

    [Fact]
    public void AddsBosOnceAsLlamaCppDoesByDefault()
    {
        var tokenizer = VocabularyFile.Open(VocabularyFile.SentencePiece()).Tokenizer;

        Assert.Equal((1, 2), (tokenizer.BosId, tokenizer.EosId));
        Assert.Equal([1], tokenizer.Encode("", addSpecial: true, parseSpecial: false));
        Assert.Equal([], tokenizer.Encode("", addSpecial: false, parseSpecial: false));
        var plain = tokenizer.Encode("Hello", addSpecial: false, parseSpecial: true);
        Assert.Equal([1, .. plain], tokenizer.Encode("Hello", addSpecial: true, parseSpecial: true));
        Assert.Equal([1, .. plain], tokenizer.Encode("<s>Hello", addSpecial: true, parseSpecial: true));
        Assert.Equal([1, 1, .. plain], tokenizer.Encode("<s><s>Hello", addSpecial: true, parseSpecial: true));
        Assert.Equal(1, tokenizer.Encode("<s>Hello", addSpecial: true, parseSpecial: false).Count(id => id == 1));
    }

    [Fact]
    public void AddsWhatTheFileAsksFor()
    {
        var pairs = VocabularyFile.SentencePiece();
        pairs.Set("tokenizer.ggml.bos_token_id", 3u);
        pairs.Set("tokenizer.ggml.add_bos_token", false);
        pairs.Set("tokenizer.ggml.add_eos_token", true);
        pairs.Set("tokenizer.ggml.add_space_prefix", false);
        var tokenizer = VocabularyFile.Open(pairs).Tokenizer;

        Assert.Equal(3, tokenizer.BosId);
        Assert.Equal([tokenizer.FindToken("H")!.Value, 2], tokenizer.Encode("H", addSpecial: true, parseSpecial: false));
        Assert.Equal([tokenizer.FindToken("H")!.Value, 2], tokenizer.Encode("H</s>", addSpecial: true, parseSpecial: true));
    }

    [Fact]
    public void StopsOnWhatTheKeysAndTheNamesSay()
    {
        var pairs = VocabularyFile.SentencePiece();
        pairs.Set("tokenizer.ggml.eot_token_id", 700u);
        pairs.Set("tokenizer.ggml.eom_token_id", 701u);
        var text = VocabularyFile.Open(pairs);

        Assert.Equal([2, text.Tokenizer.FindToken("<|end|>")!.Value, 700, 701], text.Tokenizer.StopIds.Order());
        Assert.Equal(("<s>", "</s>"), (text.BosText, text.EosText));
    }

    [Fact]
    public void AnEndOfTurnWithThePlainTypeIsAControlToken()
    {
        var pairs = VocabularyFile.Demo();
        pairs.Set(Types, [.. Enumerable.Repeat(1, 2048)]);
        var tokenizer = VocabularyFile.Open(pairs).Tokenizer;

        Assert.True(tokenizer.IsControl(2047));
        Assert.False(tokenizer.IsControl(2045));
        Assert.Contains(2047, tokenizer.StopIds);
    }

    [Fact]
    public void AnUnusedTokenHasNoTextAndIsNeverProduced()
    {
        var pairs = VocabularyFile.SentencePiece();
        var tokenizer = VocabularyFile.Open(pairs).Tokenizer;
        var the = tokenizer.FindToken("\u2581the")!.Value;
        pairs.Set(Types, [.. Enumerable.Range(0, tokenizer.VocabularySize).Select(id => id == the ? 5 : TypeOf(tokenizer, id))]);
        var changed = VocabularyFile.Open(pairs).Tokenizer;

        Assert.Contains(the, tokenizer.Encode("the", addSpecial: false, parseSpecial: false));
        Assert.DoesNotContain(the, changed.Encode("the", addSpecial: false, parseSpecial: false));
        Assert.Equal(0, changed.BytesOf(the).Length);
        Encoded.AssertRoundTrip(changed, "in the end"u8);
    }

    /// <summary>Names that llama.cpp gives Llama 3's split expression and its two other rules.</summary>
    [Theory]
    [InlineData("llama3")]
    [InlineData("llama-v3")]
    [InlineData("falcon3")]
    [InlineData("falcon-h1")]
    [InlineData("pixtral")]
    [InlineData("midm-2.0")]
    [InlineData("lfm2")]
    [InlineData("jina-v5-nano")]
    public void OtherNamesOfLlama3sRulesAreTheSame(string name)
    {
        var tokenizer = VocabularyFile.Open(Demo(pairs => pairs.Set("tokenizer.ggml.pre", name))).Tokenizer;

        Encoded.AssertIds(tokenizer, Recorded.PlainTexts, Recorded.Ids(Recorded.Read("llama-cpp.json")["demo"]!["plain"]!));
    }

    [Fact]
    public void TekkenCutsNumbersIntoDigits()
    {
        var tokenizer = VocabularyFile.Open(Demo(pairs =>
        {
            pairs.Set("tokenizer.ggml.pre", "tekken");
            pairs.Remove("tokenizer.ggml.add_bos_token");
        })).Tokenizer;

        int[] digits = [.. "120".Select(digit => tokenizer.FindToken($"{digit}")!.Value)];
        Assert.Equal([tokenizer.BosId!.Value, .. digits], tokenizer.Encode("120", addSpecial: true, parseSpecial: false));
    }

    /// <summary>Names that llama.cpp gives the same expression, but neither whole words first nor bos by default.</summary>
    [Theory]
    [InlineData("smaug-bpe")]
    [InlineData("dbrx")]
    [InlineData("glm4")]
    [InlineData("chatglm-bpe")]
    public void OtherNamesOfItsSplitExpressionAreReadByMergesAlone(string name)
    {
        var same = VocabularyFile.Open(Demo(pairs => pairs.Set("tokenizer.ggml.pre", name))).Tokenizer;
        Encoded.AssertIds(same, Recorded.PlainTexts, Recorded.Ids(Recorded.Read("llama-cpp.json")["demo"]!["plain"]!));

        var (usual, other) = (Open("llama-bpe"), Open(name));
        Assert.Equal([usual.BosId!.Value, usual.FindToken("her")!.Value], usual.Encode("her", addSpecial: true, parseSpecial: false));
        Assert.Equal([other.FindToken("h")!.Value, other.FindToken("er")!.Value], other.Encode("her", addSpecial: true, parseSpecial: false));

        ITokenizer Open(string pre) => VocabularyFile.Open(Demo(pairs =>
        {
            pairs.Set("tokenizer.ggml.pre", pre);
            pairs.Set("tokenizer.ggml.merges", ["e r"]);
            pairs.Remove("tokenizer.ggml.add_bos_token");
        })).Tokenizer;
    }

    [Fact]
    public void ALaterPartOfASplitFileSaysWhichIsTheFirst()
    {
        using var folder = new TempFolder();
        SyntheticModel.Small.WriteGguf(folder.File("model.gguf"), parts: 3);
        var error = Assert.Throws<ModelFormatException>(() => ModelTextReader.Open(folder.File("model-00002-of-00003.gguf")));

        Assert.EndsWith($"is part 2 of 3: give the first part, {folder.File("model-00001-of-00003.gguf")}", error.Message);
    }

    [Theory]
    [InlineData("tokenizer.ggml.model", "wpm", "tokenizer.ggml.model is 'wpm', which is not supported")]
    [InlineData("tokenizer.ggml.pre", "qwen2", "tokenizer.ggml.pre is 'qwen2', which is not supported")]
    [InlineData("tokenizer.ggml.pre", null, "tokenizer.ggml.pre is missing")]
    [InlineData("tokenizer.ggml.merges", null, "tokenizer.ggml.merges is missing")]
    [InlineData(Types, null, "tokenizer.ggml.token_type is missing")]
    [InlineData(Tokens, null, "tokenizer.ggml.tokens is missing")]
    [InlineData("tokenizer.ggml.eos_token_id", 2048, "tokenizer.ggml.eos_token_id is 2048, but there are 2048 tokens")]
    [InlineData("tokenizer.ggml.bos_token_id", -1, "tokenizer.ggml.bos_token_id is -1, but there are 2048 tokens")]
    [InlineData("llama.vocab_size", 2047, "tokenizer.ggml.tokens has 2048 tokens but llama.vocab_size is 2047")]
    [InlineData("tokenizer.ggml.add_space_prefix", true, "tokenizer.ggml.add_space_prefix is true")]
    public void RefusesWhatItCannotHonour(string key, object? value, string problem)
    {
        var pairs = VocabularyFile.Demo();
        switch (value)
        {
            case string text: pairs.Set(key, text); break;
            case int number: pairs.Set(key, number); break;
            case bool flag: pairs.Set(key, flag); break;
            default: pairs.Remove(key); break;
        }
        AssertRefused(pairs, problem);
    }

    [Fact]
    public void MoreTypesAndScoresThanTokensAreLeftOut()
    {
        var moreTypes = Demo(pairs => pairs.Set(Types, [.. Enumerable.Repeat(1, 2060)]));
        var moreScores = SentencePiece(pairs => pairs.Set("tokenizer.ggml.scores", new float[950]));

        Assert.Equal(2048, VocabularyFile.Open(moreTypes).Tokenizer.VocabularySize);
        Assert.Equal(900, VocabularyFile.Open(moreScores).Tokenizer.VocabularySize);
    }

    [Fact]
    public void RefusesTypesAndMergesThatDoNotFit()
    {
        const string Merges = "tokenizer.ggml.merges";
        AssertRefused(Demo(pairs => pairs.Set(Types, [1, 1, 1])), "tokenizer.ggml.token_type has 3 elements, but tokenizer.ggml.tokens has 2048");
        AssertRefused(Demo(pairs => pairs.Set(Types, [.. Enumerable.Repeat(0, 2048)])), "tokenizer.ggml.token_type has 0 for token 0");
        AssertRefused(Demo(pairs => pairs.Set(Merges, ["h e", "a nowhere"])), "tokenizer.ggml.merges[1] merges 'a' and 'nowhere'");
        AssertRefused(Demo(pairs => pairs.Set(Merges, ["h e", "h e"])), "tokenizer.ggml.merges[1] is 'h' and 'e', which an earlier merge is too");
        AssertRefused(Demo(pairs => pairs.Set(Merges, ["he"])), "tokenizer.ggml.merges[0] is 'he'; expected two tokens");
    }

    [Fact]
    public void RefusesScoresThatDoNotFit()
    {
        const string Scores = "tokenizer.ggml.scores";
        AssertRefused(SentencePiece(pairs => pairs.Set(Scores, [1f])), "tokenizer.ggml.scores has 1 elements, but tokenizer.ggml.tokens has 900");
        AssertRefused(SentencePiece(pairs => pairs.Set(Scores, [.. Enumerable.Repeat(float.NaN, 900)])), "tokenizer.ggml.scores has NaN for token 0");
        AssertRefused(
            SentencePiece(pairs => pairs.Set("tokenizer.ggml.remove_extra_whitespaces", true)), "tokenizer.ggml.remove_extra_whitespaces is true");
    }

    [Fact]
    public void RefusesTokensThatCannotBeAVocabulary()
    {
        AssertRefused(Small(["a", "b", "a"], [1, 1, 1]), "tokenizer.ggml.tokens: tokens 0 and 2 are the same, 'a'");
        AssertRefused(Small(["<a>", "<a>"], [3, 4]), "tokenizer.ggml.tokens: tokens 0 and 1 are the same, '<a>'");
        AssertRefused(Small(["a", "b"], [1, 6]), "tokenizer.ggml.tokens: token 1 is of the byte type but written 'b'");
        AssertRefused(Small(["a", "<0x00>"], [1, 6]), "tokenizer.ggml.tokens has no token for byte 0x01");
        AssertRefused(Small([new string('x', 70_000)], [1]), "tokenizer.ggml.tokens: a token has 70000 bytes");
        AssertRefused(Small([], []), "tokenizer.ggml.tokens is empty");
    }

    static GgufPairs Small(string[] tokens, int[] types) => SentencePiece(pairs =>
    {
        pairs.Set(Tokens, tokens);
        pairs.Set(Types, types);
        pairs.Set("tokenizer.ggml.scores", new float[tokens.Length]);
    });

    static int TypeOf(ITokenizer tokenizer, int id) => tokenizer.IsControl(id) ? 3 : id < 263 && id > 6 ? 6 : 1;

    static GgufPairs Pairs(string model) => model == "demo" ? VocabularyFile.Demo() : VocabularyFile.SentencePiece();

    static GgufPairs Demo(Action<GgufPairs> change) => With(VocabularyFile.Demo(), change);

    static GgufPairs SentencePiece(Action<GgufPairs> change) => With(VocabularyFile.SentencePiece(), change);

    static GgufPairs With(GgufPairs pairs, Action<GgufPairs> change)
    {
        change(pairs);
        return pairs;
    }

    static void AssertRefused(GgufPairs pairs, string problem)
    {
        var error = Assert.Throws<ModelFormatException>(() => VocabularyFile.Open(pairs));
        Assert.Contains($"model.gguf: {problem}", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }
}
