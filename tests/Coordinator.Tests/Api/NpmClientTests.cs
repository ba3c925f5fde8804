using LlamaCluster.Testing.Npm;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>npm's clients, unchanged, in conversations with a function.</summary>
public sealed class NpmClientTests
{
    [NodeFact]
    public async Task They_call_functions_and_get_an_answer_from_the_result()
    {
        await using var api = await ToolScript.StartAsync();
        var seen = await NodeScript.RunAsync("tool-clients.mjs", api.Http.BaseAddress!.ToString().TrimEnd('/'), DemoModel.Name);
        Assert.Equal(
            [
                "openai chat", "openai chat, streamed", "openai responses", "ai", "ai, streamed",
                "langchain agent", "anthropic", "anthropic, streamed", "ollama",
            ],
            seen.EnumerateObject().Select(client => client.Name));
        foreach (var client in seen.EnumerateObject())
        {
            var wanted = client.Name == "openai responses" ? $"{ToolScript.Words} (1 item)" : ToolScript.Words;
            Assert.Equal($"{client.Name}: {wanted}", $"{client.Name}: {client.Value.GetProperty("text").GetString()}");
            Assert.Equal($"{client.Name}: [\"Zürich\"]", $"{client.Name}: {client.Value.GetProperty("asked").GetRawText()}");
        }
    }

    [NodeFact]
    public async Task They_get_answers_of_the_schema_that_they_ask_for()
    {
        const string town = """{"name":"Oslo","people":700000,"rivers":["Akerselva"]}""";
        await using var api = await ApiHost.StartAsync(ToolScript.Llama);
        api.Engine.Play(Answers.Stopped(town));
        var seen = await NodeScript.RunAsync("structured-clients.mjs", api.Http.BaseAddress!.ToString().TrimEnd('/'), DemoModel.Name);
        Assert.Equal(
            ["openai chat", "openai chat, streamed", "openai responses", "ai", "ai, streamed", "ai, any object", "langchain"],
            seen.EnumerateObject().Select(client => client.Name));
        Assert.All(seen.EnumerateObject(), client => Assert.Equal($"{client.Name}: {town}", $"{client.Name}: {client.Value.GetRawText()}"));
        Assert.Equal(
            Enumerable.Repeat(GrammarKind.JsonSchema, 5).Append(GrammarKind.JsonObject).Append(GrammarKind.JsonSchema),
            api.Engine.Requests.Select(request => request.Grammar!.Kind));
    }
}
