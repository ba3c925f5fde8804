using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Sessions;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests.Api.Sessions;

/// <summary>The API with sessions of its own, before an engine that answers what a test says.</summary>
sealed class SessionHost : IAsyncDisposable
{
    public const string Chat = "/v1/chat/completions";

    SessionHost(ApiHost api) => Api = api;

    public ApiHost Api { get; }

    /// <summary>The ids of the last prompt that the engine was given.</summary>
    public int[] Prompt => [.. Api.Engine.Requests[^1].Prompt];

    /// <summary>The last prompt as text, control tokens as they are written.</summary>
    public string PromptText => TextOf(Prompt);

    public static async Task<SessionHost> StartAsync(SessionsOptions? options = null, ServedModel? model = null)
        => new(await ApiHost.StartAsync(model, services: services => services.AddSingleton(options ?? new SessionsOptions())));

    public static string TextOf(IEnumerable<int> ids)
        => Encoding.UTF8.GetString([.. ids.SelectMany(id => DemoModel.Text.Tokenizer.BytesOf(id).ToArray())]);

    /// <returns>The new session's id.</returns>
    public async Task<string> CreateAsync(string body = "{}") => (await Api.PostAsync("/v1/sessions", body, 200)).GetProperty("id").GetString()!;

    /// <summary>A turn whose answer is the text.</summary>
    /// <param name="more">Further fields of the request.</param>
    public async Task<HttpResponseMessage> SayAsync(string id, string message, string answer, string more = "{}", string? header = null)
    {
        Api.Engine.Play(Answers.Stopped(answer));
        return await SendAsync(id, [("user", message)], more, header);
    }

    /// <returns>The text of an answer that is expected.</returns>
    public async Task<string> TurnAsync(string id, string message, string answer, string more = "{}")
    {
        using var response = await SayAsync(id, message, answer, more);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        return JsonDocument.Parse(body).RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }

    public Task<HttpResponseMessage> SendAsync(string? id, IEnumerable<(string Role, string Content)> messages, string more = "{}", string? header = null)
    {
        var body = JsonNode.Parse(more)!.AsObject();
        body["messages"] = new JsonArray([.. messages.Select(message => new JsonObject { ["role"] = message.Role, ["content"] = message.Content })]);
        if (id is not null) body["session_id"] = id;
        var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = ApiHost.JsonContent(body.ToJsonString()) };
        if (header is not null) request.Headers.Add("X-Session-Id", header);
        return Api.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    public async Task<JsonElement> ExportAsync(string id) => await Api.GetAsync($"/v1/sessions/{id}/export", 200);

    public async Task<string[]> MessagesAsync(string id)
        => [.. (await ExportAsync(id)).GetProperty("messages").EnumerateArray()
            .Select(message => $"{message.GetProperty("role")}: {message.GetProperty("content")}")];

    public ValueTask DisposeAsync() => Api.DisposeAsync();
}
