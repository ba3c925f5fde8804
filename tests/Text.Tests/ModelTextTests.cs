using System.Text.Json;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;

namespace LlamaCluster.Text.Tests;

/// <summary>Whole models, against what llama.cpp recorded of them.</summary>
public sealed class ModelTextTests
{
    [Fact]
    public void TheDemoModelTokenizesPromptsAsLlamaCppDoes() =>
        AssertPromptTokens(ModelTextReader.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf")), "demo-q8_0-greedy.json");

    [SharedFact("models/stories260K.gguf")]
    public void ASentencePieceModelTokenizesPromptsAsLlamaCppDoes() =>
        AssertPromptTokens(ModelTextReader.Open(SharedFiles.Shared("models/stories260K.gguf")), "stories260K-f32kv-greedy.json");

    [Fact]
    public void SoDoesItsFolder() => AssertPromptTokens(ModelTextReader.Open(SharedFiles.Demo("hf")), "demo-f16-greedy.json");

    [Theory]
    [InlineData("llamacluster-demo-5m-q8_0.gguf")]
    [InlineData("hf")]
    public void TheDemoModelSaysWhatItsSpecialTokensAre(string form)
    {
        var text = ModelTextReader.Open(SharedFiles.Demo(form));

        Assert.Equal(2048, text.Tokenizer.VocabularySize);
        Assert.Equal(2043, text.Tokenizer.BosId);
        Assert.Equal([2044, 2047], text.Tokenizer.StopIds.Order());
        Assert.Equal("<|begin_of_text|>", text.BosText);
        Assert.Contains("<|start_header_id|>", text.TemplateSource);
        Assert.NotNull(text.Template);
    }

    static void AssertPromptTokens(ModelText text, string fixture)
    {
        using var recorded = JsonDocument.Parse(File.ReadAllBytes(SharedFiles.Fixture(fixture)));
        var cases = recorded.RootElement.GetProperty("cases").EnumerateArray().ToList();
        Assert.NotEmpty(cases);
        foreach (var one in cases)
        {
            var prompt = one.GetProperty("prompt").GetString()!;
            var ids = text.Tokenizer.Encode(prompt, addSpecial: true, parseSpecial: true);
            Assert.Equal(one.GetProperty("prompt_tokens").EnumerateArray().Select(id => id.GetInt32()), ids);

            var generated = new TokenStreamDecoder(text.Tokenizer);
            var pieces = one.GetProperty("tokens").EnumerateArray().Select(id => generated.Append(id.GetInt32())).ToList();
            Assert.Equal(one.GetProperty("text").GetString(), string.Concat(pieces) + generated.Flush());
        }
    }
}
