using System.ClientModel;
using System.ComponentModel;
using LlamaCluster.Text.Grammars;
using Microsoft.Extensions.AI;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Connectors.OpenAI;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Responses;
using ChatMessage = OpenAI.Chat.ChatMessage;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>.NET clients that call functions by themselves: OpenAI's own, Microsoft.Extensions.AI and Semantic Kernel.</summary>
public sealed class MicrosoftAiTests : IAsyncLifetime
{
    ApiHost _api = null!;
    OpenAIClient _client = null!;
    int _asked;

    public async Task InitializeAsync()
    {
        _api = await ToolScript.StartAsync();
        _client = new OpenAIClient(new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(_api.Http.BaseAddress!, "/v1") });
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Description("The weather at a place")]
    string Weather([Description("A town")] string place)
    {
        Assert.Equal("Zürich", place);
        _asked++;
        return "rain";
    }

    [Fact]
    public async Task OpenAIs_client_reads_calls_whole_and_streamed()
    {
        var chat = _client.GetChatClient(DemoModel.Name);
        var parameters = BinaryData.FromString("""{"type":"object","properties":{"place":{"type":"string"}}}""");
        var options = new ChatCompletionOptions { Tools = { ChatTool.CreateFunctionTool("weather", "Of a place", parameters) } };
        ChatCompletion whole = await chat.CompleteChatAsync([ChatMessage.CreateUserMessage("Weather?")], options);
        Assert.Equal(OpenAI.Chat.ChatFinishReason.ToolCalls, whole.FinishReason);
        Assert.Equal(("weather", """{"place": "Zürich"}"""), (whole.ToolCalls[0].FunctionName, whole.ToolCalls[0].FunctionArguments.ToString()));

        var arguments = "";
        await foreach (var update in chat.CompleteChatStreamingAsync([ChatMessage.CreateUserMessage("Weather?")], options))
            arguments += string.Concat(update.ToolCallUpdates.Select(call => call.FunctionArgumentsUpdate.ToString()));
        Assert.Equal("""{"place": "Zürich"}""", arguments);

        ChatCompletion next = await chat.CompleteChatAsync(
            [
                ChatMessage.CreateUserMessage("Weather?"), ChatMessage.CreateAssistantMessage(whole),
                ChatMessage.CreateToolMessage(whole.ToolCalls[0].Id, "rain"),
            ],
            options);
        Assert.Equal(ToolScript.Words, next.Content[0].Text);
    }

#pragma warning disable OPENAI001 // the client calls its own support of this API experimental
    [Fact]
    public async Task OpenAIs_client_reads_responses_whole_streamed_and_kept()
    {
        var client = _client.GetResponsesClient();
        var tool = ResponseTool.CreateFunctionTool(
            "weather", BinaryData.FromString("""{"type":"object","properties":{"place":{"type":"string"}}}"""), strictModeEnabled: false);
        ResponseResult first = await client.CreateResponseAsync(
            new CreateResponseOptions { Model = DemoModel.Name, InputItems = { ResponseItem.CreateUserMessageItem("Weather?") }, Tools = { tool } });
        var call = Assert.IsType<FunctionCallResponseItem>(Assert.Single(first.OutputItems));
        Assert.Equal(("weather", """{"place": "Zürich"}"""), (call.FunctionName, call.FunctionArguments.ToString()));

        var next = new CreateResponseOptions
        {
            Model = DemoModel.Name,
            PreviousResponseId = first.Id,
            InputItems = { ResponseItem.CreateFunctionCallOutputItem(call.CallId, "rain") },
            Tools = { tool },
            StreamingEnabled = true,
        };
        var (text, kinds) = ("", new List<string>());
        await foreach (var update in await client.CreateResponseStreamingAsync(next))
        {
            kinds.Add(update.GetType().Name);
            if (update is StreamingResponseOutputTextDeltaUpdate delta) text += delta.Delta;
        }
        Assert.Equal(ToolScript.Words, text);
        Assert.Equal((nameof(StreamingResponseCreatedUpdate), nameof(StreamingResponseCompletedUpdate)), (kinds[0], kinds[^1]));
        ResponseResult kept = await client.GetResponseAsync(first.Id);
        Assert.Equal(first.Id, kept.Id);
        Assert.True((await client.DeleteResponseAsync(first.Id)).Value.Deleted);
    }

    [Fact]
    public async Task Microsoft_Extensions_AI_invokes_functions_through_responses()
    {
        using var chat = new ChatClientBuilder(_client.GetResponsesClient().AsIChatClient(DemoModel.Name)).UseFunctionInvocation().Build();
        Assert.Equal(
            ToolScript.Words,
            (await chat.GetResponseAsync("Weather in Zürich?", new ChatOptions { Tools = [AIFunctionFactory.Create(Weather, "weather")] })).Text);
        Assert.Equal(1, _asked);
    }
#pragma warning restore OPENAI001

    [Fact]
    public async Task Microsoft_Extensions_AI_invokes_functions()
    {
        using var chat = new ChatClientBuilder(_client.GetChatClient(DemoModel.Name).AsIChatClient()).UseFunctionInvocation().Build();
        var options = new ChatOptions { Tools = [AIFunctionFactory.Create(Weather, "weather")] };
        Assert.Equal(ToolScript.Words, (await chat.GetResponseAsync("Weather in Zürich?", options)).Text);
        var streamed = "";
        await foreach (var update in chat.GetStreamingResponseAsync("Weather in Zürich?", options)) streamed += update.Text;
        Assert.Equal(ToolScript.Words, streamed);
        Assert.Equal(2, _asked);
    }

    [Fact]
    public async Task Microsoft_Extensions_AI_gets_objects_of_a_type()
    {
        _api.Engine.Play(Answers.Stopped("""{"name":"Oslo","people":700000}"""));
        using var chat = _client.GetChatClient(DemoModel.Name).AsIChatClient();
        var town = await chat.GetResponseAsync<Town>("Name a town.");
        Assert.Equal(new Town("Oslo", 700_000), town.Result);
        Assert.Equal(GrammarKind.JsonSchema, _api.Engine.Requests.Single().Grammar!.Kind);
    }

    [Fact]
    public async Task Semantic_Kernel_invokes_functions()
    {
        var kernel = Kernel.CreateBuilder().AddOpenAIChatCompletion(DemoModel.Name, new Uri(_api.Http.BaseAddress!, "/v1"), "none").Build();
        kernel.Plugins.AddFromFunctions("tools", [KernelFunctionFactory.CreateFromMethod(Weather, "weather")]);
        _api.Engine.Script = request => Answers.Stopped(
            ToolScript.PromptOf(request).Contains("ipython<|end_header_id|>")
                ? ToolScript.Words
                : ToolScript.Call.Replace("weather", "tools-weather")).ToAsyncEnumerable();
        var chat = kernel.GetRequiredService<IChatCompletionService>();
        var settings = new OpenAIPromptExecutionSettings { FunctionChoiceBehavior = FunctionChoiceBehavior.Auto() };
        var history = new ChatHistory("Be brief.");
        history.AddUserMessage("Weather in Zürich?");
        Assert.Equal(ToolScript.Words, (await chat.GetChatMessageContentAsync(history, settings, kernel)).Content);
        Assert.Equal(1, _asked);
    }

    sealed record Town(string Name, int People);
}
