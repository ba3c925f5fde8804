using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>
/// What is wrong with options, as an operator reads it: <see cref="CoordinatorHost.Create(CoordinatorOptions)"/> says it before it opens the model.
/// </summary>
public sealed class CoordinatorOptionsTests
{
    /// <summary>There is no such file, so options that are allowed get as far as the model and no further.</summary>
    static readonly CoordinatorOptions Usual = new() { ModelPath = "model.gguf" };

    public static TheoryData<CoordinatorOptions, string> Wrong => new()
    {
        { Usual with { Listen = "8080" }, "--listen is '8080'" },
        { Usual with { Listen = "https://127.0.0.1:1" }, "--listen is 'https://127.0.0.1:1'; https needs a certificate" },
        { Usual with { Listen = "http://127.0.0.1:1/path" }, "--listen is" },
        { Usual with { GrpcListen = "http://my-host:1" }, "--grpc-listen is 'http://my-host:1'" },
        {
            Usual with { Listen = "http://0.0.0.0:80" },
            "--listen is 'http://0.0.0.0:80'; other machines reach it, and it asks nobody who they are: add --api-keys-file; or --insecure where everybody on"
        },
        { Usual with { Listen = "https://[::]:80", Api = new() { Certificate = new("a", "b") } }, "add --api-keys-file; or --insecure" },
        { Usual with { Listen = "http://10.0.0.1:80", JoinTokenFile = "token" }, "--listen is 'http://10.0.0.1:80'; other machines reach it" },
        {
            Usual with { GrpcListen = "http://0.0.0.0:81", Api = new() { KeysFile = "keys" } },
            "--grpc-listen is 'http://0.0.0.0:81'; other machines reach it, and it asks nobody who they are: "
            + "add --join-token-file, or --tls-cert, --tls-key and"
        },
        { Usual with { Workers = 0 }, "--workers is 0; it must be from 1 to 1024" },
        { Usual with { Streams = 0 }, "--streams is 0; it must be from 1 to 4096" },
        { Usual with { Workers = 1025 }, "--workers is 1025" },
        { Usual with { TensorParallel = 0 }, "--tensor-parallel is 0" },
        { Usual with { TensorParallel = 257 }, "--tensor-parallel is 257; it must be from 1 to 256" },
        { Usual with { GrpcListen = "https://127.0.0.1:1" }, "https needs a certificate: give --tls-cert" },
        { Usual with { Tls = new TlsFiles("a", "b", "c"), GrpcListen = "http://127.0.0.1:1" }, "it must be like https://" },
        { Usual with { Engine = new() { SumType = ActivationType.Unspecified } }, "--sum-type is Unspecified" },
        { Usual with { ContextLength = 1 }, "--context is 1" },
        { Usual with { Api = new() { CorsOrigins = ["https://good.example", "bad.example"] } }, "--cors-origins has 'bad.example'; an origin is like" },
        { Usual with { Api = new() { CorsOrigins = ["https://chat.example.com/path"] } }, "--cors-origins has 'https://chat.example.com/path'" },
        { Usual with { Engine = new() { MaxStepRows = 1 } }, "--max-step-rows is 1; it must be from 2 to 65536" },
        { Usual with { Engine = new() { MaxPromptRows = 513 } }, "--max-prompt-rows is 513; it must be from 1 to 512" },
        { Usual with { Engine = new() { MaxRunning = 512 } }, "--max-running is 512; it must be less than --max-step-rows, which is 512" },
        { Usual with { Engine = new() { MaxWaiting = -1 } }, "--max-waiting is -1" },
        { Usual with { Engine = new() { KvTokens = 15 } }, "--kv-tokens is 15" },
        { Usual with { Engine = new() { KvType = KvType.Unspecified } }, "--kv-type is Unspecified" },
        { Usual with { Engine = new() { ActivationType = (ActivationType)9 } }, "ActivationType is 9" },
        { Usual with { Deadlines = new() { Step = TimeSpan.Zero } }, "Step is 00:00:00" },
        { Usual with { Deadlines = new() { HeartbeatTimeout = TimeSpan.FromSeconds(1) } }, "HeartbeatTimeout is 00:00:01; it must be above HeartbeatInterval" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_value_out_of_range_is_named_with_what_is_allowed(CoordinatorOptions options, string message)
    {
        var error = Assert.Throws<InvalidOptionsException>(() => CoordinatorHost.Create(options));
        Assert.Contains(message, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData("http://127.0.0.1:8080")]
    [InlineData("http://127.3.0.1:80")]
    [InlineData("http://localhost:0")]
    [InlineData("http://[::1]:9000")]
    public void Addresses_to_listen_on(string listen)
        => Assert.Throws<ModelFormatException>(() => CoordinatorHost.Create(Usual with { Listen = listen, GrpcListen = listen }));

    [Fact]
    public void Addresses_that_other_machines_reach_are_listened_on_where_callers_are_asked_or_somebody_said_that_they_need_not_be()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder.File("token"), "a secret of this test");
        File.WriteAllText(folder.File("keys"), ApiKeyFile.LineOf("a", "inference", ApiKey.NewText()));
        var open = Usual with { Listen = "http://0.0.0.0:80", GrpcListen = "http://[::]:81" };
        var asking = open with { Api = new() { KeysFile = folder.File("keys") }, JoinTokenFile = folder.File("token") };
        foreach (var options in new[] { asking, open with { Insecure = true } })
            Assert.Throws<ModelFormatException>(() => CoordinatorHost.Create(options));
    }

    [Theory]
    [InlineData(null, 512)]
    [InlineData(100, 100)]
    [InlineData(512, 512)]
    public void The_context_is_the_models_or_shorter(int? asked, int expected)
        => Assert.Equal(expected, OpenedModel.ContextLengthOf(Usual with { ContextLength = asked }, 512));

    [Fact]
    public void The_context_is_not_longer_than_the_models()
        => Assert.Contains("--context is 513; it must be from 2 to 512",
            Assert.Throws<InvalidOptionsException>(() => OpenedModel.ContextLengthOf(Usual with { ContextLength = 513 }, 512)).Message);
}
