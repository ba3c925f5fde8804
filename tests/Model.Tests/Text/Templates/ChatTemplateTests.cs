using System.Text.Json.Nodes;
using LlamaCluster.Model.Text.Templates;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Text.Templates;

public sealed class ChatTemplateTests
{
    [Fact]
    public void Renders_the_demo_models_template()
    {
        var config = JsonNode.Parse(File.ReadAllText(SharedFiles.Demo("hf/tokenizer_config.json")))!;
        var template = ChatTemplate.Parse((string)config["chat_template"]!);

        var prompt = template.Render(new ChatTemplateInput
        {
            Messages = JsonNode.Parse("""[{"role":"system","content":" Be brief. "},{"role":"user","content":"What is a KV cache?"}]""")!,
            BosToken = "<|begin_of_text|>",
            EosToken = "<|eot_id|>",
            Now = DateTimeOffset.UnixEpoch,
        });

        Assert.Equal(
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>" +
            "<|start_header_id|>user<|end_header_id|>\n\nWhat is a KV cache?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            prompt);
    }
}
