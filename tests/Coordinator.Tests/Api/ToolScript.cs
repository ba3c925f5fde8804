using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Testing;
using LlamaCluster.Text;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>
/// What a Llama 3.1 would answer in a conversation with the function "weather": a call, and when the prompt has its result, words.
/// </summary>
static class ToolScript
{
    public const string Call = """{"name": "weather", "parameters": {"place": "Zürich"}}""";
    public const string Words = "It rains in Zürich.";

    public static ServedModel Llama { get; } = DemoModel.Served with
    {
        Template = ChatTemplate.Parse(File.ReadAllText(SharedFiles.Fixture("templates/llama-3.1.jinja"))),
        ContextLength = 8192,
    };

    public static async Task<ApiHost> StartAsync()
    {
        var api = await ApiHost.StartAsync(Llama);
        api.Engine.Script = request => Answers.Stopped(PromptOf(request).Contains("ipython<|end_header_id|>") ? Words : Call).ToAsyncEnumerable();
        return api;
    }

    public static string PromptOf(SequenceRequest request) => DemoModel.Text.Tokenizer.DecodeText([.. request.Prompt], includeControl: true);
}
