using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>The description at /openapi.json agrees with what is mapped.</summary>
public sealed class ApiDocumentTests
{
    [Fact]
    public async Task Every_address_is_described_and_readers_understand_it()
    {
        WebApplication? app = null;
        await using var api = await ApiHost.StartAsync(more: built => app = built);
        var text = await api.Http.GetStringAsync("/openapi.json");

        var read = OpenApiDocument.Parse(text, "json");
        Assert.Empty(read.Diagnostic!.Errors);
        var described = read.Document!.Paths.Keys.ToHashSet();
        var mapped = app!.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>() is not null)
            .Select(endpoint => endpoint.RoutePattern.RawText!.Replace("**", "")).ToHashSet();
        // Left out: the description itself, OpenAI's addresses without their version, and what Ollama has and this has not.
        var missing = mapped.Where(path => !described.Contains(path) && !described.Contains($"/v1{path}") && path != "/openapi.json");
        Assert.Equal(
            ["/api/blobs/{digest}", "/api/copy", "/api/create", "/api/delete", "/api/pull", "/api/push"], missing.Order(StringComparer.Ordinal));
        Assert.All(described, path => Assert.Contains(path, mapped));
        Assert.Equal(["messages"], JsonDocument.Parse(text).RootElement.GetProperty("paths").GetProperty("/v1/chat/completions").GetProperty("post")
            .GetProperty("requestBody").GetProperty("content").GetProperty("application/json").GetProperty("schema").GetProperty("required")
            .EnumerateArray().Select(name => name.GetString()));
        string[] FieldsOf(string path) => [.. JsonDocument.Parse(text).RootElement.GetProperty("paths").GetProperty(path).GetProperty("post")
            .GetProperty("requestBody").GetProperty("content").GetProperty("application/json").GetProperty("schema").GetProperty("properties")
            .EnumerateObject().Select(field => field.Name)];
        Assert.Subset(FieldsOf("/v1/chat/completions").ToHashSet(), new HashSet<string> { "session_id", "session_mode", "keep_partial", "truncation" });
        Assert.Equal(["turns", "metadata"], FieldsOf("/v1/sessions/{session}/fork"));
    }
}
