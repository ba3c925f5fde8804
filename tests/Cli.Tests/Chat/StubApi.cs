using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Cli.Tests.Chat;

/// <summary>A server that answers chats with a fixed body.</summary>
sealed class StubApi : IAsyncDisposable
{
    readonly WebApplication _app;
    readonly ConcurrentQueue<JsonNode> _chats = [];

    StubApi(WebApplication app) => _app = app;

    public string Url => _app.Urls.Single();

    /// <summary>Bodies of the chats asked for.</summary>
    public IReadOnlyList<JsonNode> Chats => [.. _chats];

    public static async Task<StubApi> StartAsync(Func<int, string> answer, int status = 200)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var app = builder.Build();
        var api = new StubApi(app);
        app.MapGet("/v1/models", () => Results.Text("""{"object":"list","data":[{"id":"stub"}]}""", "application/json"));
        app.MapPost("/v1/chat/completions", async http =>
        {
            api._chats.Enqueue((await JsonNode.ParseAsync(http.Request.Body))!);
            http.Response.StatusCode = status;
            await http.Response.WriteAsync(answer(api._chats.Count));
        });
        await app.StartAsync();
        return api;
    }

    public static string Stream(params string[] pieces)
        => string.Concat(pieces.Select(piece => $"data: {Chunk(piece).ToJsonString()}\n\n")) + "data: [DONE]\n\n";

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    static JsonObject Chunk(string piece)
        => new() { ["choices"] = new JsonArray(new JsonObject { ["delta"] = new JsonObject { ["content"] = piece } }) };
}
