using System.Net.Http.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Integration.Tests.Clients;

/// <summary>One question through every API of real processes: one answer.</summary>
public sealed class EveryApiTests
{
    const string Model = "llamacluster-demo-5m-q8_0";
    const string Question = "What is a KV cache?";

    [Fact]
    public async Task Every_API_gives_the_same_words()
    {
        await using var cluster = await LocalCluster.StartAsync();
        var messages = $$"""[{"role":"user","content":"{{Question}}"}]""";
        var wanted = await AskAsync("/v1/chat/completions", $$"""{"messages":{{messages}},"temperature":0}""", "choices", 0, "message", "content");
        Assert.StartsWith("A KV cache stores the keys and values of all tokens", wanted);

        Assert.Equal(wanted, await AskAsync("/v1/responses", $$"""{"input":"{{Question}}","temperature":0}""", "output", 0, "content", 0, "text"));
        Assert.Equal(wanted, await AskAsync("/v1/messages", $$"""{"messages":{{messages}},"temperature":0,"max_tokens":200}""", "content", 0, "text"));
        Assert.Equal(wanted, await AskAsync(
            "/api/chat", $$$"""{"model":"{{{Model}}}","messages":{{{messages}}},"stream":false,"options":{"temperature":0}}""", "message", "content"));
        Assert.Equal(wanted, await AskAsync(
            "/api/generate", $$$"""{"model":"{{{Model}}}","prompt":"{{{Question}}}","stream":false,"options":{"temperature":0}}""", "response"));

        var shown = await AskAsync("/api/show", $$"""{"model":"{{Model}}"}""", "details", "parameter_size");
        Assert.Matches(@"^\d+\.\dM$", shown);
        var described = JsonNode.Parse(await cluster.Http.GetStringAsync("/openapi.json"))!;
        Assert.NotNull(described["paths"]!["/v1/messages"]);

        async Task<string> AskAsync(string path, string body, params object[] way)
        {
            using var response = await cluster.Http.PostAsync(path, JsonContent.Create(JsonNode.Parse(body)));
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, $"{path}: {text}");
            return way.Aggregate(JsonNode.Parse(text)!, (node, step) => step is int index ? node[index]! : node[(string)step]!).GetValue<string>();
        }
    }

    [Fact]
    public async Task A_call_that_must_be_made_is_made_whatever_the_model_knows_of_functions()
    {
        const string schema = """{"type":"object","properties":{"place":{"enum":["Bern","Zürich"]},"days":{"type":"integer","minimum":1,"maximum":9}}"""
            + ""","required":["place","days"],"additionalProperties":false}""";
        await using var cluster = await LocalCluster.StartAsync();
        var nested = $$$"""[{"type":"function","function":{"name":"weather","description":"Of a place","parameters":{{{schema}}},"strict":true}}]""";
        const string messages = """[{"role":"user","content":"Weather?"}]""";
        foreach (var seed in (int[])[1, 2, 3])
        {
            var chat = await AskAsync(
                "/v1/chat/completions",
                $$"""{"messages":{{messages}},"tools":{{nested}},"tool_choice":"required","parallel_tool_calls":false,"seed":{{seed}},"temperature":1.5}""");
            Assert.Equal("tool_calls", (string?)chat["choices"]![0]!["finish_reason"]);
            var call = chat["choices"]![0]!["message"]!["tool_calls"]!.AsArray().Single()!["function"]!;
            Assert.Equal("weather", (string?)call["name"]);
            AssertArguments(JsonNode.Parse((string)call["arguments"]!)!);
        }

        async Task<JsonNode> AskAsync(string path, string body)
        {
            using var response = await cluster.Http.PostAsync(path, JsonContent.Create(JsonNode.Parse(body)));
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, $"{path}: {text}");
            return JsonNode.Parse(text)!;
        }
    }

    static void AssertArguments(JsonNode arguments)
    {
        Assert.Equal(["place", "days"], arguments.AsObject().Select(field => field.Key));
        Assert.Contains((string?)arguments["place"], (string?[])["Bern", "Zürich"]);
        Assert.InRange((int)arguments["days"]!, 1, 9);
    }
}
