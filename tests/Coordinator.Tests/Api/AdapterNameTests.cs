using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Every API takes an adapter's name in the model's place, answers by it, and refuses names that there are not.</summary>
public sealed class AdapterNameTests : IAsyncLifetime
{
    readonly TempFolder _folder = new();
    AdapterRegistry _adapters = AdapterRegistry.Empty;
    ApiHost _host = null!;

    public async Task InitializeAsync()
    {
        using var model = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));
        var path = new SyntheticAdapter(model.Config) { Changes = target => target.Layer is 0 }.WriteGguf(_folder.File("a.gguf"));
        _adapters = AdapterRegistry.Open(new AdapterOptions { Adapters = [("poet", path)] }, model.Config, DemoModel.Name);
        _host = await ApiHost.StartAsync(DemoModel.Served with { Adapters = _adapters });
        _host.Engine.Play(Answers.Of("Hello"));
    }

    public async Task DisposeAsync()
    {
        await _host.DisposeAsync();
        _adapters.Dispose();
        _folder.Dispose();
    }

    public static TheoryData<string, string> Bodies => new()
    {
        { "/v1/chat/completions", """{"model":"poet","messages":[{"role":"user","content":"Hi"}]}""" },
        { "/v1/completions", """{"model":"poet","prompt":"Hi"}""" },
        { "/v1/completions", """{"prompt":"Hi","lora_request":{"lora_name":"poet","lora_int_id":1}}""" },
        { "/v1/responses", """{"model":"poet","input":"Hi"}""" },
        { "/v1/messages", """{"model":"poet","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}""" },
        { "/api/chat", """{"model":"poet:latest","stream":false,"messages":[{"role":"user","content":"Hi"}]}""" },
        { "/api/generate", """{"model":"poet","stream":false,"prompt":"Hi"}""" },
        { "/generate", """{"inputs":"Hi","parameters":{"adapter_id":"poet"}}""" },
    };

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task An_adapters_name_chooses_it(string path, string body)
    {
        var answer = await _host.PostAsync(path, body, 200);
        if (path != "/generate") Assert.Equal("poet", answer.GetProperty("model").GetString());
        Assert.Equal(_adapters.Find("poet")!.Digest, Assert.Single(_host.Engine.Requests).Adapter?.Digest);
        var unknown = await _host.PostAsync(path, body.Replace("poet", "nobody", StringComparison.Ordinal), 404);
        Assert.Contains("nobody", unknown.GetRawText());
        Assert.Contains("poet", unknown.GetRawText());
    }

    [Fact]
    public async Task The_models_own_name_uses_none()
    {
        await _host.PostAsync("/v1/completions", """{"model":"demo","prompt":"Hi"}""", 200);
        await _host.PostAsync("/v1/completions", """{"prompt":"Hi"}""", 200);
        Assert.All(_host.Engine.Requests, request => Assert.Null(request.Adapter));
    }

    [Fact]
    public async Task Adapters_are_listed_with_their_model()
    {
        var models = (await _host.GetAsync("/v1/models", 200)).GetProperty("data");
        Assert.Equal(["demo", "poet"], models.EnumerateArray().Select(one => one.GetProperty("id").GetString()));
        Assert.False(models[0].TryGetProperty("parent", out _));
        Assert.Equal("demo", (await _host.GetAsync("/v1/models/poet", 200)).GetProperty("parent").GetString());
        await _host.GetAsync("/v1/models/nobody", 404);
        var tags = (await _host.GetAsync("/api/tags", 200)).GetProperty("models");
        Assert.Equal("demo", tags[1].GetProperty("details").GetProperty("parent_model").GetString());
    }

    [Theory]
    [InlineData("""{"prompt":"Hi","lora_request":{"lora_int_id":1}}""", 400)]
    [InlineData("""{"prompt":"Hi","lora_request":"poet"}""", 400)]
    [InlineData("""{"prompt":"Hi","lora_request":{"lora_name":"nobody","lora_path":"/etc/passwd"}}""", 404)]
    public async Task What_names_no_adapter_is_refused(string body, int status) => await _host.PostAsync("/v1/completions", body, status);
}
