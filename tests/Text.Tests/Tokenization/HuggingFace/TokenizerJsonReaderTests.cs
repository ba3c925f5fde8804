using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Text.Tests.Tokenization.HuggingFace;

public sealed class TokenizerJsonReaderTests
{
    static readonly JsonArray Variants = Recorded.Read("hugging-face.json").AsArray();

    public static TheoryData<string> VariantNames => [.. Variants.Select(NameOf)];

    [Theory]
    [MemberData(nameof(VariantNames))]
    public void EncodesAsHuggingFacesLibrary(string name)
    {
        var variant = Variants.Single(variant => NameOf(variant) == name)!;
        var tokenizer = Open(Variant(name));

        var (texts, ids) = (Recorded.PlainTexts.Concat(Recorded.SpecialTexts).ToArray(), Recorded.Ids(variant["ids"]!));
        // Where whole words are taken, that library takes the written form of a byte token for the byte, and decodes it as that.
        const string ByteTokens = "<0x41> <0x0A>";
        if (name.Contains("whole words")) ids[Array.IndexOf(texts, ByteTokens)] = [.. tokenizer.Encode(ByteTokens, addSpecial: false, parseSpecial: true)];
        Encoded.AssertIds(tokenizer, texts, ids, parseSpecial: true);
        Assert.Equal(variant["surrounded"].Deserialize<int[]>(), tokenizer.Encode(Recorded.PlainTexts[0], addSpecial: true, parseSpecial: true));
    }

    [Theory]
    [MemberData(nameof(VariantNames))]
    public void GivesTextsBackExactly(string name)
    {
        var tokenizer = Open(Variant(name));
        // Metaspace does not say whether a text had a space in front; stripping tokens swallow spaces.
        var texts = Recorded.PlainTexts.Where(text => !name.Contains("metaspace") || !text.StartsWith(' ') || name.Contains("never"));
        foreach (var text in texts) Encoded.AssertRoundTrip(tokenizer, Encoding.UTF8.GetBytes(text));
    }

    [Fact]
    public void TakesSpecialTokensForTextUnlessAsked()
    {
        var tokenizer = Open(Variant("llama2"));

        Assert.Equal([1], tokenizer.Encode("<s>", addSpecial: false, parseSpecial: true));
        Assert.DoesNotContain(1, tokenizer.Encode("<s>", addSpecial: false, parseSpecial: false));
        // An added token that is not special is always one.
        Assert.Contains(tokenizer.FindToken("<|user|>")!.Value, tokenizer.Encode("Hi <|user|>", addSpecial: false, parseSpecial: false));
    }

    [Theory]
    [InlineData("""{"model.type": "Unigram"}""", "model.type is 'Unigram', which is not supported; 'BPE' is")]
    [InlineData("""{"model": null}""", "model is missing")]
    [InlineData("""{"model.byte_fallback": false}""", "model.byte_fallback is not true")]
    [InlineData("""{"model.dropout": 0.1}""", "model.dropout is 0.1")]
    [InlineData("""{"model.end_of_word_suffix": "</w>"}""", "model.end_of_word_suffix is '</w>'")]
    [InlineData("""{"model.vocab": {}}""", "model.vocab has no token for byte 0x00")]
    [InlineData("""{"model.vocab": ["a"]}""", "model.vocab is not an object")]
    [InlineData("""{"model.vocab": {"a": "b"}}""", "model.vocab: the id of token 0 is not an integer")]
    [InlineData("""{"model.vocab": {"a": -1}}""", "model.vocab: 'a' has id -1")]
    [InlineData("""{"model.vocab": {"a": 2000000000}}""", "model.vocab: 'a' has id 2000000000")]
    [InlineData("""{"model.vocab": {"a": 5, "b": 5}}""", "model.vocab: 'b' has id 5, which another token has too")]
    [InlineData("""{"added_tokens": [], "model.vocab": {"a": 5}}""", "model.vocab has no token for byte 0x00")]
    [InlineData("""{"model.merges": ["a b c"]}""", "model.merges[0] is 'a b c'; expected two tokens")]
    [InlineData("""{"model.merges": ["ab"]}""", "model.merges[0] is 'ab'")]
    [InlineData("""{"model.merges": [["a", "nowhere"]]}""", "model.merges[0] merges 'a' and 'nowhere'")]
    [InlineData("""{"model.merges": [["t", "h"], ["t", "h"]]}""", "model.merges[1] is 't' and 'h', which an earlier merge is too")]
    [InlineData("""{"model.merges": [["t"]]}""", "model.merges[0] is neither")]
    [InlineData("""{"model.merges": [["t", "h", "e"]]}""", "model.merges[0] is neither")]
    [InlineData("""{"model.merges": ["t h", ["t", "h"]]}""", "model.merges[1] is neither")]
    [InlineData("""{"model.merges": [7]}""", "model.merges[0] is neither")]
    [InlineData("""{"model.merges": {}}""", "model.merges is not an array")]
    [InlineData("""{"added_tokens": [{"id": 1, "content": "<x>"}]}""", "model.vocab: token 1 is not '<x>'")]
    [InlineData("""{"added_tokens": [{"id": 5000000, "content": "<x>"}]}""", "model.vocab: '<x>' has id 5000000")]
    [InlineData("""{"added_tokens": [{"id": 900, "content": "th"}]}""", "added_tokens: 'th' has id 900, but in model.vocab")]
    [InlineData("""{"added_tokens": [{"id": 900, "content": "x1"}, {"id": 901, "content": "x1"}]}""", "added_tokens: tokens 900 and 901 are the same, 'x1'")]
    [InlineData("""{"added_tokens": [{"content": "x"}]}""", "added_tokens[0].id is missing")]
    [InlineData("""{"added_tokens": [7]}""", "added_tokens[0] is 7; expected an object")]
    [InlineData("""{"normalizer": {"type": "NFKC"}}""", "normalizer.type is 'NFKC', which is not supported")]
    [InlineData("""{"normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}}""", "normalizer.normalizers[0].type is 'Lowercase'")]
    [InlineData("""{"normalizer": {"type": "Prepend", "prepend": "_"}}""", "normalizer.prepend is '_'")]
    [InlineData("""{"pre_tokenizer": {"type": "Whitespace"}, "normalizer": null}""", "pre_tokenizer.type is 'Whitespace', which is not supported")]
    [InlineData("""{"pre_tokenizer": {"type": "ByteLevel", "use_regex": true}, "normalizer": null}""",
        "pre_tokenizer.type is 'ByteLevel', which is not supported")]
    [InlineData("""{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\w+"}, "behavior": "Isolated"}, "normalizer": null}""",
        "pre_tokenizer.pattern.Regex is '\\w+', which is not supported")]
    [InlineData("""{"pre_tokenizer": {"type": "Metaspace", "replacement": "_"}, "normalizer": null}""", "pre_tokenizer.replacement is '_'")]
    [InlineData("""{"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"}, "normalizer": null}""",
        "pre_tokenizer.prepend_scheme is 'last'")]
    [InlineData("""{"decoder": {"type": "WordPiece"}}""", "decoder.type is 'WordPiece', which is not supported")]
    [InlineData("""{"post_processor": {"type": "BertProcessing"}}""", "post_processor.type is 'BertProcessing', which is not supported")]
    [InlineData("""{"post_processor.special_tokens": {"<s>": {"ids": [77777]}}}""",
        "post_processor.special_tokens.<s>.ids has 77777, which is the id of no token")]
    [InlineData("""{"post_processor.special_tokens": {}}""", "post_processor.special_tokens.<s> is missing")]
    [InlineData("""{"version": "2.0"}""", "version is '2.0', which is not supported")]
    public void RefusesWhatItCannotHonour(string patch, string problem)
    {
        var tokenizer = Recorded.Patched(Recorded.Read("llama2/tokenizer.json"), JsonNode.Parse(patch)!.AsObject());
        var error = Assert.Throws<ModelFormatException>(() => Open(tokenizer.ToJsonString()));
        Assert.Contains($"tokenizer.json: {problem}", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void RefusesAFileCutShortAnywhere()
    {
        var whole = File.ReadAllBytes(Recorded.PathOf("llama2/tokenizer.json"));
        for (var length = 0; length < whole.Length; length += 997) // a prime, to come by all kinds of places
        {
            var part = Encoding.Latin1.GetString(whole, 0, length);
            Assert.Throws<ModelFormatException>(() => Open(part));
        }
    }

    [Theory]
    [InlineData("", "is empty, or no ordinary file")]
    [InlineData("[]", "the file is not a JSON object")]
    [InlineData("{}", "model is missing")]
    [InlineData("""{"model": 1}""", "model is 1; expected an object")]
    [InlineData("""{"model": {"vocab": {}}, "model": {"vocab": {}}}""", "the file is not valid JSON")]
    [InlineData("""{"model": {"vocab": {"\ud800": 1}}}""", "is not valid JSON")]
    [InlineData("version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer")]
    public void RefusesWhatIsNoTokenizer(string content, string problem)
    {
        var error = Assert.Throws<ModelFormatException>(() => Open(content));
        Assert.Contains($"tokenizer.json: {problem}", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void RefusesMoreTokensThanTheModelHasRows()
    {
        using var folder = new TempFolder();
        File.Copy(Recorded.PathOf("llama2/tokenizer.json"), folder.File("tokenizer.json"));
        File.WriteAllText(folder.File("config.json"), """{"vocab_size": 899}""");
        var error = Assert.Throws<ModelFormatException>(() => ModelTextReader.Open(folder.Path));
        Assert.EndsWith("tokenizer.json: has ids up to 899, but config.json's vocab_size is 899", error.Message);
    }

    static string NameOf(JsonNode? variant) => variant!["name"]!.GetValue<string>();

    static string Variant(string name)
    {
        var variant = Variants.Single(variant => NameOf(variant) == name)!;
        return Recorded.Patched(Recorded.Read(variant["base"]!.GetValue<string>()), variant["patch"]!.AsObject()).ToJsonString();
    }

    static ITokenizer Open(string tokenizerJson)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("tokenizer.json"), tokenizerJson);
        return ModelTextReader.Open(folder.Path).Tokenizer;
    }
}
