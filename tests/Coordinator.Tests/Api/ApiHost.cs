using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Api.Endpoints;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;
using LlamaCluster.Text;
using LlamaCluster.Text.Templates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>The API behind a real server on a free port, before a <see cref="ScriptedEngine"/>.</summary>
sealed class ApiHost : IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    readonly WebApplication _app;

    ApiHost(WebApplication app, ScriptedEngine engine)
    {
        (_app, Engine) = (app, engine);
        Http = new HttpClient { BaseAddress = new Uri(app.Urls.Single()), Timeout = Deadline };
    }

    public ScriptedEngine Engine { get; }

    public HttpClient Http { get; }

    public BodyBudget Bodies => _app.Services.GetRequiredService<BodyBudget>();

    /// <param name="more">Adds endpoints that are not the API's own.</param>
    public static async Task<ApiHost> StartAsync(
        ServedModel? model = null, TimeProvider? time = null, Action<WebApplication>? more = null, ApiOptions? options = null, ILoggerProvider? log = null,
        Action<IServiceCollection>? services = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        if (log is not null) builder.Logging.AddProvider(log);
        var engine = new ScriptedEngine();
        builder.Services.AddSingleton(time ?? TimeProvider.System).AddSingleton(options ?? new ApiOptions()).AddSingleton<IGenerationEngine>(engine);
        services?.Invoke(builder.Services);
        builder.Services.AddOpenAiApi(model ?? DemoModel.Served);
        var app = builder.Build();
        app.UseOpenAiApi(ownMachineOnly: true);
        more?.Invoke(app);
        app.MapOpenAiApi();
        await app.StartAsync();
        return new(app, engine);
    }

    public Task<HttpResponseMessage> PostAsync(string path, string json) => Http.PostAsync(path, JsonContent(json));

    /// <summary>The body of an answer of this status.</summary>
    public async Task<JsonElement> PostAsync(string path, string json, int status)
    {
        using var response = await PostAsync(path, json);
        return await ReadAsync(response, status);
    }

    public async Task<JsonElement> GetAsync(string path, int status)
    {
        using var response = await Http.GetAsync(path);
        return await ReadAsync(response, status);
    }

    /// <summary>The data of each event of a stream.</summary>
    public async Task<IReadOnlyList<string>> StreamAsync(string path, string json)
    {
        using var response = await PostAsync(path, json);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        var body = await response.Content.ReadAsStringAsync();
        Assert.EndsWith("\n\n", body);
        return [.. body[..^2].Split("\n\n").Select(part => part.StartsWith("data: ") ? part[6..] : throw new InvalidDataException($"no event: {part}"))];
    }

    public static StringContent JsonContent(string json) => new(json, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.DisposeAsync();
    }

    static async Task<JsonElement> ReadAsync(HttpResponseMessage response, int status)
    {
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(status == (int)response.StatusCode, $"expected {status}, got {(int)response.StatusCode}: {body}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        return JsonDocument.Parse(body).RootElement;
    }
}

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

/// <summary>Bodies of requests that are right but for what a test adds.</summary>
static class Requests
{
    public static string Chat(string more = "{}") => Join("""{"messages":[{"role":"user","content":"Hi"}]}""", more);

    public static string Completion(string more = "{}") => Join("""{"prompt":"Hi"}""", more);

    static string Join(string body, string more)
    {
        var joined = JsonNode.Parse(body)!.AsObject();
        foreach (var (name, value) in JsonNode.Parse(more)!.AsObject()) joined[name] = value?.DeepClone();
        return joined.ToJsonString();
    }
}
