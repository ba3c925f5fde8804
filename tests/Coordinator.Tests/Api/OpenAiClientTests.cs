using System.ClientModel;
using System.ClientModel.Primitives;
using LlamaCluster.Coordinator.Generation;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using OpenAI.Models;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>OpenAI's own .NET client against the API.</summary>
public sealed class OpenAiClientTests : IAsyncLifetime
{
    ApiHost _api = null!;
    OpenAIClientOptions _options = null!;

    public async Task InitializeAsync()
    {
        _api = await ApiHost.StartAsync();
        _options = new OpenAIClientOptions
        {
            Endpoint = new Uri(_api.Http.BaseAddress!, "/v1"),
            RetryPolicy = new ClientRetryPolicy(0),
            NetworkTimeout = ApiHost.Deadline,
        };
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    ChatClient Chat(string model = DemoModel.Name) => new(model, new ApiKeyCredential("none"), _options);

    [Fact]
    public async Task Chat_answers()
    {
        _api.Engine.Play(Answers.Stopped("Hello there."));
        ChatCompletion completion = await Chat().CompleteChatAsync(
            [
                ChatMessage.CreateSystemMessage("Be brief."), ChatMessage.CreateUserMessage(ChatMessageContentPart.CreateTextPart("Hi")),
                ChatMessage.CreateAssistantMessage("Yes?"), ChatMessage.CreateUserMessage("Well"),
            ],
            new ChatCompletionOptions { Temperature = 0.5f, MaxOutputTokenCount = 20, StopSequences = { "END" }, EndUserId = "u", FrequencyPenalty = 0.5f });
        Assert.Equal("Hello there.", Assert.Single(completion.Content).Text);
        Assert.Equal(ChatFinishReason.Stop, completion.FinishReason);
        Assert.Equal(ChatMessageRole.Assistant, completion.Role);
        Assert.Equal(DemoModel.Name, completion.Model);
        Assert.Equal(_api.Engine.Requests[0].Prompt.Count, completion.Usage.InputTokenCount);
        Assert.Equal(0, completion.Usage.InputTokenDetails.CachedTokenCount);
        Assert.Equal(20, _api.Engine.Requests[0].MaxTokens);
    }

    [Fact]
    public async Task Chat_streams()
    {
        _api.Engine.Play(Answers.BytesOf("Hé 🙂!"));
        var (text, finish, usage) = ("", (ChatFinishReason?)null, (ChatTokenUsage?)null);
        await foreach (var update in Chat().CompleteChatStreamingAsync([ChatMessage.CreateUserMessage("Hi")]))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            finish ??= update.FinishReason;
            usage ??= update.Usage;
        }
        Assert.Equal("Hé 🙂!", text);
        Assert.Equal(ChatFinishReason.Length, finish);
        Assert.Equal(_api.Engine.Requests[0].Prompt.Count, usage?.InputTokenCount);
    }

    [Fact]
    public async Task Log_probabilities_are_understood()
    {
        var id = Answers.IdsOf("é")[0];
        _api.Engine.Play(Answers.Token(id, -0.25f, new(id, -0.25f), new(66, -3)), new SequenceEvent.Finished(FinishReason.Length));
        ChatCompletion completion = await Chat().CompleteChatAsync(
            [ChatMessage.CreateUserMessage("Hi")], new ChatCompletionOptions { IncludeLogProbabilities = true, TopLogProbabilityCount = 2 });
        var token = Assert.Single(completion.ContentTokenLogProbabilities);
        Assert.Equal(-0.25f, token.LogProbability);
        Assert.Equal(DemoModel.Text.Tokenizer.BytesOf(id).ToArray(), token.Utf8Bytes?.ToArray());
        Assert.Equal([-0.25f, -3f], token.TopLogProbabilities.Select(top => top.LogProbability));
    }

    /// <summary>It has no exception of its own for this (findings/openai-dotnet-error-within-a-stream.sh).</summary>
    [Fact]
    public async Task A_stream_that_breaks_is_not_taken_for_a_whole_answer()
    {
        _api.Engine.Play([.. Answers.Of("Hel").SkipLast(1), new SequenceEvent.Failed("worker w2 was lost", true)]);
        var text = "";
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (var update in Chat().CompleteChatStreamingAsync([ChatMessage.CreateUserMessage("Hi")]))
                text += string.Concat(update.ContentUpdate.Select(part => part.Text));
        });
        Assert.Equal("Hel", text);
    }

    [Fact]
    public async Task Models_are_listed()
    {
        var models = await new OpenAIModelClient(new ApiKeyCredential("none"), _options).GetModelsAsync();
        Assert.Equal(DemoModel.Name, Assert.Single(models.Value).Id);
    }

    [Fact]
    public async Task Errors_have_their_status_and_message()
    {
        var unknown = await Assert.ThrowsAsync<ClientResultException>(() => Chat("other").CompleteChatAsync([ChatMessage.CreateUserMessage("Hi")]));
        Assert.Equal(404, unknown.Status);
        Assert.Contains("model_not_found", unknown.Message);
        var wrong = await Assert.ThrowsAsync<ClientResultException>(
            () => Chat().CompleteChatAsync([ChatMessage.CreateUserMessage("Hi")], new ChatCompletionOptions { Temperature = 3 }));
        Assert.Equal(400, wrong.Status);
        Assert.Contains("'temperature' must be a number between 0 and 2, not 3", wrong.Message);
        _api.Engine.Status = new EngineStatus(false, "loading", 1);
        Assert.Equal(503, (await Assert.ThrowsAsync<ClientResultException>(() => Chat().CompleteChatAsync([ChatMessage.CreateUserMessage("Hi")]))).Status);
    }

    [Fact]
    public async Task Texts_are_embedded()
    {
        _api.Engine.Script = request =>
            new SequenceEvent[] { new SequenceEvent.Embedded([3, 4, request.Prompt.Count]), new SequenceEvent.Finished(FinishReason.Length) }
            .ToAsyncEnumerable();
        var client = new EmbeddingClient(DemoModel.Name, new ApiKeyCredential("none"), _options);
        OpenAIEmbeddingCollection found = await client.GenerateEmbeddingsAsync(
            ["Hi", "Hello there"], new EmbeddingGenerationOptions { Dimensions = 2, EndUserId = "u" });
        Assert.Equal(2, found.Count);
        Assert.All(found, embedding => Assert.Equal([0.6f, 0.8f], embedding.ToFloats().ToArray()));
        Assert.Equal(_api.Engine.Requests.Sum(request => request.Prompt.Count), found.Usage.InputTokenCount);
    }

    [Fact]
    public async Task A_client_that_retries_gets_its_answer_when_the_model_is_ready()
    {
        var attempts = 0;
        _api.Engine.Script = _ => Interlocked.Increment(ref attempts) == 1
            ? new SequenceEvent[] { new SequenceEvent.Failed("worker lost", true) }.ToAsyncEnumerable()
            : Answers.Stopped("Back.").ToAsyncEnumerable();
        var options = new OpenAIClientOptions { Endpoint = _options.Endpoint, RetryPolicy = new ImmediateRetry(), NetworkTimeout = ApiHost.Deadline };
        ChatCompletion completion = await new ChatClient(DemoModel.Name, new ApiKeyCredential("none"), options)
            .CompleteChatAsync([ChatMessage.CreateUserMessage("Hi")]);
        Assert.Equal("Back.", completion.Content[0].Text);
        Assert.Equal(2, attempts);
    }

    sealed class ImmediateRetry() : ClientRetryPolicy(1)
    {
        protected override TimeSpan GetNextDelay(PipelineMessage message, int tryCount) => TimeSpan.Zero;
    }
}
