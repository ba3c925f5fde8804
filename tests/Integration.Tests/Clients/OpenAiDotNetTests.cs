using System.ClientModel;
using System.ClientModel.Primitives;
using LlamaCluster.Integration.Tests.Up;
using OpenAI;
using OpenAI.Chat;

namespace LlamaCluster.Integration.Tests.Clients;

/// <summary>OpenAI's own .NET client against real processes. What it does with every field is tested beside the API.</summary>
public sealed class OpenAiDotNetTests
{
    const string Model = "llamacluster-demo-5m-q8_0";

    [Fact]
    public async Task Chat_streams_and_fails_as_the_client_expects()
    {
        await using var cluster = await LocalCluster.StartAsync();
        var options = new OpenAIClientOptions
        {
            Endpoint = new Uri(cluster.Http.BaseAddress!, "/v1"),
            RetryPolicy = new ClientRetryPolicy(0),
            NetworkTimeout = CliProcess.Deadline,
        };
        var chat = new ChatClient(Model, new ApiKeyCredential("none"), options);
        var greedy = new ChatCompletionOptions { Temperature = 0, IncludeLogProbabilities = true, TopLogProbabilityCount = 3 };
        ChatMessage[] messages = [ChatMessage.CreateUserMessage("What is a KV cache?")];

        ChatCompletion whole = await chat.CompleteChatAsync(messages, greedy);
        var streamed = "";
        await foreach (var update in chat.CompleteChatStreamingAsync(messages, new ChatCompletionOptions { Temperature = 0 }))
            streamed += string.Concat(update.ContentUpdate.Select(part => part.Text));
        ChatCompletion plain = await chat.CompleteChatAsync([ChatMessage.CreateUserMessage("What is a KV cache?")]);
        var usual = new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 16_000, StoredOutputEnabled = true };
        ChatCompletion longer = await chat.CompleteChatAsync(messages, usual);
        var refused = await Assert.ThrowsAsync<ClientResultException>(
            () => new ChatClient("another", new ApiKeyCredential("none"), options).CompleteChatAsync(messages));

        Assert.StartsWith("A KV cache stores the keys and values of all tokens", whole.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, whole.FinishReason);
        Assert.All(whole.ContentTokenLogProbabilities, token => Assert.Equal(3, token.TopLogProbabilities.Count));
        Assert.Equal(whole.Content[0].Text, streamed);
        Assert.Equal(whole.Content[0].Text, longer.Content[0].Text);
        Assert.Equal(ChatMessageRole.Assistant, plain.Role);
        Assert.Equal(404, refused.Status);
    }
}
