using System.Net;
using System.Text.Json;
using LlamaCluster.Cluster;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Npm;

namespace LlamaCluster.Integration.Tests.Clients;

/// <summary>Clients that we did not write, against real processes.</summary>
public sealed class ForeignClientTests
{
    const string Answer =
        "Pipeline parallelism splits a model by layers. Each worker holds some of the layers, runs them and passes the activations to the next worker.";
    const int NotFound = 5;
    const int FailedPrecondition = 9;
    const int Unimplemented = 12;

    [NodeFact]
    public async Task The_npm_openai_client_works()
    {
        await using var cluster = await LocalCluster.StartAsync();
        var seen = await NodeScript.RunAsync("openai-client.mjs", cluster.Http.BaseAddress!.ToString().TrimEnd('/'), "llamacluster-demo-5m-q8_0");

        Assert.Equal("llamacluster-demo-5m-q8_0", seen.GetProperty("models")[0].GetString());
        var chat = seen.GetProperty("chat");
        Assert.Equal(Answer, chat.GetProperty("text").GetString());
        Assert.Equal("stop", chat.GetProperty("finish").GetString());
        Assert.Equal(chat.GetProperty("usage").GetProperty("completion_tokens").GetInt32() - 1, chat.GetProperty("logprobs").GetInt32());
        Assert.Equal(Answer, seen.GetProperty("streamed").GetProperty("text").GetString());
        var (whole, streamed) = (chat.GetProperty("usage"), seen.GetProperty("streamed").GetProperty("usage"));
        foreach (var count in new[] { "prompt_tokens", "completion_tokens", "total_tokens" })
            Assert.Equal(whole.GetProperty(count).GetInt32(), streamed.GetProperty(count).GetInt32());
        Assert.Equal(0, whole.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
        Assert.InRange(
            streamed.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32(),
            1, whole.GetProperty("prompt_tokens").GetInt32() - 1);
        Assert.All(seen.GetProperty("several").EnumerateArray(), text => Assert.Equal(Answer, text.GetString()));
        Assert.StartsWith("LlamaCluster", seen.GetProperty("completion").GetProperty("text").GetString());
        Assert.All(seen.GetProperty("embeddings").EnumerateArray(), length => Assert.Equal(1, length.GetDouble(), 1e-5));
        Assert.True(seen.GetProperty("sameEmbedding").GetBoolean(), "base64 holds other numbers than the list");
        Assert.Equal(404, seen.GetProperty("unknownModel").GetProperty("status").GetInt32());
        Assert.Equal("model_not_found", seen.GetProperty("unknownModel").GetProperty("code").GetString());
        Assert.Equal(400, seen.GetProperty("negative").GetProperty("status").GetInt32());
        Assert.Equal("max_tokens", seen.GetProperty("negative").GetProperty("param").GetString());
    }

    [NodeFact]
    public async Task Npm_chat_clients_get_an_answer_without_special_settings()
    {
        await using var cluster = await LocalCluster.StartAsync();
        var seen = await NodeScript.RunAsync("chat-clients.mjs", cluster.Http.BaseAddress!.ToString().TrimEnd('/'), "llamacluster-demo-5m-q8_0");

        Assert.Equal(["openai", "ai", "langchain", "llamaindex"], seen.EnumerateObject().Select(client => client.Name));
        foreach (var client in seen.EnumerateObject())
            foreach (var answer in client.Value.EnumerateObject())
                Assert.Equal($"{client.Name} {answer.Name}: {Answer}", $"{client.Name} {answer.Name}: {answer.Value}");
    }

    [NodeFact]
    public async Task Grpc_js_calls_health_and_membership()
    {
        await using var coordinator = CliProcess.Start(
            "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0", "--workers", "1");
        var addresses = (await coordinator.ErrorLineAsync("listening api=")).Split(' ');
        var grpc = addresses[2]["grpc=".Length..];
        await using var worker = CliProcess.Start("worker", "--coordinator", grpc, "--name", "only", "--threads", "1");
        using var http = new HttpClient { BaseAddress = new Uri(addresses[1]["api=".Length..]), Timeout = CliProcess.Deadline };
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);

        var seen = await NodeScript.RunAsync("grpc-client.mjs", new Uri(grpc).Authority, $"{ProtocolVersion.Current}",
            Path.Combine(SharedFiles.Repository, "src", "Protos"),
            Path.Combine(SharedFiles.Repository, "tests", "Integration.Tests", "Clients"));

        Assert.Equal("SERVING", seen.GetProperty("alive").GetProperty("status").GetString());
        Assert.Equal("SERVING", seen.GetProperty("ready").GetProperty("status").GetString());
        Assert.Equal("SERVING", seen.GetProperty("watched").GetProperty("status").GetString());
        Assert.Equal(NotFound, seen.GetProperty("unknown").GetProperty("code").GetInt32());
        var listed = Assert.Single(seen.GetProperty("workers").GetProperty("workers").EnumerateArray());
        Assert.Equal("only", listed.GetProperty("name").GetString());
        Assert.Equal("WORKER_STATE_READY", listed.GetProperty("state").GetString());
        Assert.Equal(8, listed.GetProperty("shard").GetProperty("layer_count").GetInt32());
        AssertRefused(seen.GetProperty("older"), Unimplemented, $"protocol version {ProtocolVersion.Current}, the worker 1");
        AssertRefused(seen.GetProperty("refused"), FailedPrecondition, "ffffffffffff");
        AssertRefused(seen.GetProperty("garbage"), Unimplemented, "protocol");
    }

    [NodeFact]
    public async Task A_client_without_proto_files_learns_the_services_by_reflection()
    {
        await using var coordinator = CliProcess.Start(
            "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0", "--grpc-reflection");
        var grpc = (await coordinator.ErrorLineAsync("listening api=")).Split(' ')[2]["grpc=".Length..];

        var seen = await NodeScript.RunAsync("grpc-reflection.mjs", new Uri(grpc).Authority);

        Assert.Equal(
            [
                "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
                "llamacluster.v1.Membership", "llamacluster.v1.Weights",
            ],
            seen.GetProperty("services").EnumerateArray().Select(service => service.GetString()).Order(StringComparer.Ordinal));
        Assert.Equal(
            ["Drain", "Heartbeat", "ListWorkers", "Register"],
            seen.GetProperty("methods").EnumerateArray().Select(method => method.GetString()).Order(StringComparer.Ordinal));
        Assert.Empty(seen.GetProperty("listed").GetProperty("workers").EnumerateArray());
    }

    static void AssertRefused(JsonElement reply, int code, string word)
    {
        Assert.True(reply.TryGetProperty("code", out var given), reply.ToString());
        Assert.Equal(code, given.GetInt32());
        Assert.Contains(word, reply.GetProperty("details").GetString());
    }
}
