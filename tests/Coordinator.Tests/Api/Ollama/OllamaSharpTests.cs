using LlamaCluster.Coordinator.Generation;
using OllamaSharp;
using OllamaSharp.Models;
using OllamaSharp.Models.Chat;

namespace LlamaCluster.Coordinator.Tests.Api.Ollama;

/// <summary>The NuGet client OllamaSharp against the API.</summary>
public sealed class OllamaSharpTests : IAsyncLifetime
{
    ApiHost _api = null!;
    OllamaApiClient _client = null!;

    public async Task InitializeAsync()
    {
        _api = await ToolScript.StartAsync();
        _client = new OllamaApiClient(_api.Http, DemoModel.Name);
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _api.DisposeAsync();
    }

    [Fact]
    public async Task Models_and_version_are_told()
    {
        Assert.True(await _client.IsRunningAsync());
        Assert.NotEmpty(await _client.GetVersionAsync());
        Assert.Equal("demo", Assert.Single(await _client.ListLocalModelsAsync()).Name);
        Assert.Equal("demo", Assert.Single(await _client.ListRunningModelsAsync()).Name);
        var shown = await _client.ShowModelAsync(new ShowModelRequest { Model = DemoModel.Name });
        Assert.Equal("llama", shown.Info.Architecture);
    }

    [Fact]
    public async Task Texts_are_embedded()
    {
        _api.Engine.Script = _ =>
            new SequenceEvent[] { new SequenceEvent.Embedded([3, 4]), new SequenceEvent.Finished(FinishReason.Length) }.ToAsyncEnumerable();
        var answer = await _client.EmbedAsync(new EmbedRequest { Model = DemoModel.Name, Input = ["Hi", "Hello there"] });
        Assert.Equal([[0.6f, 0.8f], [0.6f, 0.8f]], answer.Embeddings);
    }

    [Fact]
    public async Task Text_is_generated_with_a_template_of_the_clients_own()
    {
        _api.Engine.Play(Answers.Stopped("Yes."));
        var text = "";
        var request = new GenerateRequest
        {
            Model = DemoModel.Name,
            Prompt = "Hi",
            System = "S",
            Template = "{{ if .System }}({{ .System }}) {{ end }}Q: {{ .Prompt }} A: {{ .Response }}",
        };
        await foreach (var piece in _client.GenerateAsync(request))
            text += piece!.Response;
        Assert.Equal("Yes.", text);
        Assert.EndsWith("(S) Q: Hi A: ", ToolScript.PromptOf(_api.Engine.Requests[0]));
    }

    [Fact]
    public async Task Text_is_generated_and_goes_on()
    {
        _api.Engine.Play(Answers.Stopped("Hé 🙂!"));
        var text = "";
        GenerateDoneResponseStream? done = null;
        await foreach (var piece in _client.GenerateAsync("Hi"))
        {
            text += piece!.Response;
            done = piece as GenerateDoneResponseStream ?? done;
        }
        Assert.Equal("Hé 🙂!", text);
#pragma warning disable CS0618 // Ollama would rather have chats, but still gives and takes it
        Assert.NotEmpty(done!.Context);
        await foreach (var _ in _client.GenerateAsync("More", new ConversationContext(done.Context))) { }
#pragma warning restore CS0618
        Assert.Contains("Hé 🙂!", ToolScript.PromptOf(_api.Engine.Requests[^1]));
    }

    [Fact]
    public async Task A_chat_calls_its_tools()
    {
        var tool = new Tool
        {
            Function = new Function
            {
                Name = "weather",
                Description = "Of a place",
                Parameters = new Parameters { Properties = new() { ["place"] = new() { Type = "string", Description = "A town" } }, Required = ["place"] },
            },
        };
        var messages = new List<Message> { new(ChatRole.User, "Weather in Zürich?") };
        Message? called = null;
        await foreach (var piece in _client.ChatAsync(new ChatRequest { Messages = messages, Tools = [tool] }))
            if (piece?.Message.ToolCalls is not null) called = piece.Message;
        var call = Assert.Single(called!.ToolCalls!);
        Assert.Equal("weather", call.Function!.Name);
        Assert.Equal("Zürich", call.Function.Arguments!["place"]!.ToString());

        messages.Add(called);
        messages.Add(new Message(ChatRole.Tool, "rain"));
        var words = "";
        await foreach (var piece in _client.ChatAsync(new ChatRequest { Messages = messages, Tools = [tool] })) words += piece?.Message.Content;
        Assert.Equal(ToolScript.Words, words);
    }
}
