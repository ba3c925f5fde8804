using System.Text.Json.Nodes;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Text.Tests.Tokenization.HuggingFace;

/// <summary>What the small files beside tokenizer.json decide. The tokenizer is that of the demo model, whose post-processor adds bos.</summary>
public sealed class FolderTextReaderTests
{
    const int Bos = 2043;
    const int EndOfText = 2044;
    const int EndOfTurn = 2047;

    [Fact]
    public void ATokenizerAloneIsEnough()
    {
        var text = Open();

        Assert.Null(text.TemplateSource);
        Assert.Null(text.Tokenizer.BosId);
        Assert.Null(text.BosText);
        Assert.Equal([EndOfText, EndOfTurn], text.Tokenizer.StopIds.Order());
        Assert.Equal(Bos, text.Tokenizer.Encode("x", addSpecial: true, parseSpecial: false)[0]);
    }

    [Fact]
    public void BosAndEosAreNamedByAnyOfTheFiles()
    {
        AssertBosAndEos(Open(("tokenizer_config.json", """{"bos_token": "<|begin_of_text|>", "eos_token": {"content": "<|eot_id|>"}}""")));
        AssertBosAndEos(Open(("special_tokens_map.json", """{"bos_token": {"content": "<|begin_of_text|>"}, "eos_token": "<|eot_id|>"}""")));
        AssertBosAndEos(Open(("generation_config.json", """{"bos_token_id": 2043, "eos_token_id": [2047, 2044]}""")));
        AssertBosAndEos(Open(("config.json", """{"bos_token_id": 2043, "eos_token_id": 2047}""")));
        AssertBosAndEos(Open(
            ("tokenizer_config.json", """{"bos_token": null}"""),
            ("generation_config.json", """{"bos_token_id": 2043}"""),
            ("config.json", """{"bos_token_id": 7, "eos_token_id": 2047}""")));

        static void AssertBosAndEos(ModelText text)
        {
            Assert.Equal((Bos, EndOfTurn), (text.Tokenizer.BosId, text.Tokenizer.EosId));
            Assert.Equal(("<|begin_of_text|>", "<|eot_id|>"), (text.BosText, text.EosText));
        }
    }

    [Fact]
    public void StopsOnAllThatAnyFileNames()
    {
        var text = Open(
            ("tokenizer_config.json", """{"eos_token": "a"}"""),
            ("generation_config.json", """{"eos_token_id": [5, 6]}"""),
            ("config.json", """{"eos_token_id": 7}"""));
        Assert.Equal([5, 6, 7, text.Tokenizer.FindToken("a")!.Value, EndOfText, EndOfTurn], text.Tokenizer.StopIds.Order());
    }

    [Theory]
    [InlineData("""{}""", "2043 x")]
    [InlineData("""{"add_bos_token": true, "add_eos_token": true, "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}""", "2043 x 2047")]
    [InlineData("""{"add_bos_token": false, "bos_token": "<|begin_of_text|>"}""", "x")]
    [InlineData("""{"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<|end_of_text|>"}""", "2044 x")]
    [InlineData("""{"tokenizer_class": "LlamaTokenizer", "bos_token": "<|begin_of_text|>", "add_bos_token": false}""", "x")]
    [InlineData("""{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|end_of_text|>"}""", "2043 x")]
    public void BosAndEosAreAddedAsTheTransformersLibraryDoes(string config, string expected)
    {
        var tokenizer = Open(("tokenizer_config.json", config)).Tokenizer;
        var x = tokenizer.FindToken("x")!.Value;
        Assert.Equal(expected.Replace("x", $"{x}"), string.Join(' ', tokenizer.Encode("x", addSpecial: true, parseSpecial: true)));
    }

    [Fact]
    public void TheTemplateIsInOneOfSeveralPlaces()
    {
        Assert.Equal("one", Open(("tokenizer_config.json", """{"chat_template": "one"}""")).TemplateSource);
        const string Several = """{"chat_template": [{"name": "rag", "template": "one"}, {"name": "default", "template": "two"}]}""";
        Assert.Equal("two", Open(("tokenizer_config.json", Several)).TemplateSource);
        Assert.NotNull(Open(("tokenizer_config.json", """{"chat_template": "one"}""")).Template);
        Assert.Null(Open().Template);
        Assert.Equal("three\n", Open(("tokenizer_config.json", """{"chat_template": "one"}"""), ("chat_template.jinja", "three\n")).TemplateSource);
    }

    [Theory]
    [InlineData("tokenizer_config.json", """{"bos_token": "<x>"}""", "tokenizer_config.json: bos_token is '<x>', which is no token")]
    [InlineData("tokenizer_config.json", """{"bos_token": 7}""", "tokenizer_config.json: bos_token is 7; expected a string")]
    [InlineData("tokenizer_config.json", """{"add_bos_token": true}""", "tokenizer_config.json: add_bos_token is true, but no file says which token that is")]
    [InlineData("tokenizer_config.json", """{"add_bos_token": "yes"}""", "tokenizer_config.json: add_bos_token is a string; expected a boolean")]
    [InlineData("tokenizer_config.json", "{", "tokenizer_config.json: the file is not valid JSON")]
    [InlineData("special_tokens_map.json", """{"eos_token": "<x>"}""", "special_tokens_map.json: eos_token is '<x>', which is no token")]
    [InlineData("generation_config.json", """{"eos_token_id": ["x"]}""", "generation_config.json: eos_token_id is a string; expected an integer")]
    [InlineData("config.json", """{"vocab_size": 2042}""", "tokenizer.json: has ids up to 2042, but config.json's vocab_size is 2042")]
    public void RefusesWhatDoesNotFit(string file, string content, string problem)
    {
        var error = Assert.Throws<ModelFormatException>(() => Open((file, content)));
        Assert.Contains(problem, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void ATemplateThatCannotBeReadIsRefusedWhenItIsNeeded()
    {
        var text = Open(("tokenizer_config.json", """{"chat_template": "{% if %}"}"""));
        Assert.NotEmpty(text.Tokenizer.Encode("x", addSpecial: true, parseSpecial: false));
        var error = Assert.Throws<ModelFormatException>(() => text.Template);
        Assert.Contains("tokenizer_config.json: chat_template: ", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void RefusesATemplateThatIsNotText()
    {
        using var folder = new TempFolder();
        File.Copy(SharedFiles.Demo("hf/tokenizer.json"), folder.File("tokenizer.json"));
        File.WriteAllBytes(folder.File("chat_template.jinja"), [0xFF]);
        Assert.EndsWith("chat_template.jinja: is not UTF-8", Assert.Throws<ModelFormatException>(() => ModelTextReader.Open(folder.Path)).Message);
    }

    [Fact]
    public void RefusesAFolderWithoutTokenizer()
    {
        using var folder = new TempFolder();
        AssertMissing("give a GGUF file or a folder with a Hugging Face model");

        File.WriteAllText(folder.File("mmproj-model.gguf"), "x");
        File.WriteAllText(folder.File("model.gguf"), "x");
        AssertMissing($"give the GGUF file in it, such as {folder.File("model.gguf")}");

        void AssertMissing(string advice) => Assert.Equal(
            $"{folder.Path}: has no tokenizer.json or tokenizer.model: {advice}",
            Assert.Throws<ModelFormatException>(() => ModelTextReader.Open(folder.Path)).Message);
    }

    [Theory]
    [InlineData("tokenizer.json", "is one file of a Hugging Face model: give the folder that it is in")]
    [InlineData("model.safetensors", "is one file of a Hugging Face model: give the folder that it is in")]
    [InlineData("tokenizer.model", "is one file of a Hugging Face model: give the folder that it is in")]
    [InlineData("pytorch_model.bin", "is a PyTorch file, which is not supported: give a GGUF file or a folder with safetensors")]
    public void AFileOfAFolderSaysWhatToGive(string name, string expected)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File(name), "x");
        Assert.Equal($"{folder.File(name)}: {expected}", Assert.Throws<ModelFormatException>(() => ModelTextReader.Open(folder.File(name))).Message);
    }

    [Fact]
    public void AnAddedTokenWithoutARowIsTextLikeAnyOther()
    {
        var tokenizer = OpenWith("<|pad|>", ("config.json", """{"vocab_size": 2048}""")).Tokenizer;

        Assert.Equal(2048, tokenizer.VocabularySize);
        Assert.Null(tokenizer.FindToken("<|pad|>"));
        Assert.All(tokenizer.Encode("a<|pad|>b", addSpecial: false, parseSpecial: true), id => Assert.InRange(id, 0, 2042));
        var withRow = OpenWith("<|pad|>", ("config.json", """{"vocab_size": 2049}""")).Tokenizer;
        Assert.Equal([2048], withRow.Encode("<|pad|>", addSpecial: false, parseSpecial: true));
    }

    [Theory]
    [InlineData("""{"eos_token": "<|im_end|>"}""", "tokenizer_config.json: eos_token is '<|im_end|>', whose id 2048")]
    [InlineData("""{"chat_template": "{{ messages[0].content }}<|im_end|>"}""", "tokenizer_config.json: chat_template: writes '<|im_end|>', whose id 2048")]
    public void ATokenWithoutARowThatIsNeededIsRefused(string config, string expected)
    {
        var error = Assert.Throws<ModelFormatException>(() =>
            OpenWith("<|im_end|>", ("config.json", """{"vocab_size": 2048}"""), ("tokenizer_config.json", config)));

        Assert.EndsWith($"{expected} has no row in the embedding: config.json's vocab_size is 2048", error.Message);
    }

    [Fact]
    public void ATemplateThatCannotBeReadKeepsItsReason()
    {
        var broken = Open(("tokenizer_config.json", """{"chat_template": "{% if %}"}"""));
        Assert.Equal("chat template, line 1: expected an expression, found '%}'", broken.TemplateProblem);
        Assert.Null(Open(("tokenizer_config.json", """{"chat_template": "one"}""")).TemplateProblem);
        Assert.Null(Open().TemplateProblem);
    }

    [Fact]
    public void WithoutADefaultTemplateTheOnlyOneIsTakenAndSeveralAreSaid()
    {
        Assert.Equal("one", Open(("tokenizer_config.json", """{"chat_template": [{"name": "rag", "template": "one"}]}""")).TemplateSource);
        var several = Open(("tokenizer_config.json", """{"chat_template": [{"name": "rag", "template": "one"}, {"name": "tool_use", "template": "two"}]}"""));

        Assert.Equal("there are chat templates named 'rag', 'tool_use', and none named 'default'", several.TemplateProblem);
        Assert.Contains("tokenizer_config.json: chat_template: there are", Assert.Throws<ModelFormatException>(() => several.Template).Message);
        Assert.NotEmpty(several.Tokenizer.Encode("text", addSpecial: false, parseSpecial: false));
        Assert.Null(Open(("tokenizer_config.json", """{"chat_template": []}""")).TemplateProblem);
    }

    [Fact]
    public void AnIdToStopAtThatIsNoTokenHasNoEffect()
    {
        var with = Open(("generation_config.json", """{"eos_token_id": [2048, 77777, -1]}""")).Tokenizer;
        Assert.Equal(Open().Tokenizer.StopIds.Order(), with.StopIds.Order());
    }

    /// <summary>The demo model's tokenizer with one special token more, 2048.</summary>
    static ModelText OpenWith(string token, params (string Name, string Content)[] others)
    {
        var json = JsonNode.Parse(File.ReadAllText(SharedFiles.Demo("hf/tokenizer.json")))!;
        json["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = 2048, ["content"] = token, ["special"] = true });
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("tokenizer.json"), json.ToJsonString());
        foreach (var (name, content) in others) File.WriteAllText(folder.File(name), content);
        return ModelTextReader.Open(folder.Path);
    }

    static ModelText Open(params (string Name, string Content)[] others)
    {
        using var folder = new TempFolder();
        File.Copy(SharedFiles.Demo("hf/tokenizer.json"), folder.File("tokenizer.json"));
        foreach (var (name, content) in others) File.WriteAllText(folder.File(name), content);
        return ModelTextReader.Open(folder.Path);
    }
}
