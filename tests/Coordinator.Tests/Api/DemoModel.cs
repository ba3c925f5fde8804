using LlamaCluster.Coordinator.Api;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;
using LlamaCluster.Text;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>The demo model's words, without its weights.</summary>
static class DemoModel
{
    public const string Name = "demo";
    public const int Context = 512;
    public const int EndOfTurn = 2047;

    public static ModelText Text { get; } = ModelTextReader.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));

    public static ServedModel Served { get; } = new(
        Name, "sha256:0123456789abcdef", Context, Text.Tokenizer, ChatTemplate.Parse(Text.TemplateSource!), Text.BosText ?? "", Text.EosText ?? "",
        new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
}
