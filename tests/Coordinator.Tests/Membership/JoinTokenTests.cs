using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;
using Client = LlamaCluster.Protos.Membership.MembershipClient;

namespace LlamaCluster.Coordinator.Tests.Membership;

public sealed class JoinTokenTests : IDisposable
{
    const string Token = "0123456789abcdef0123456789abcdef";
    const string Other = "fedcba9876543210fedcba9876543210";

    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Workers_that_know_the_token_serve()
    {
        var file = Write("token", Token);
        await using var cluster = await RealCluster.StartAsync(
            2, TestCluster.Options with { JoinTokenFile = file }, usual => usual with { JoinTokenFile = file });

        Assert.NotEmpty(await cluster.Coordinator.TokensAsync(TestCluster.Request([5, 6, 7], 4)));
    }

    [Theory]
    [InlineData(null, "the worker shows no join token")]
    [InlineData("", "the worker shows no join token")]
    [InlineData("00", "the worker's join token is none of the coordinator's")]
    [InlineData("not hex not hex not hex not hex not hex not hex not hex not hex!", "the worker's join token is none of the coordinator's")]
    public async Task A_worker_without_the_token_is_refused_by_name(string? shown, string problem)
    {
        await using var cluster = await StartAsync(Token);
        var headers = new Metadata();
        if (shown is not null) headers.Add(JoinToken.Header, shown);

        var refused = await Assert.ThrowsAsync<RpcException>(() => new Client(cluster.Channel).RegisterAsync(Request(), headers).ResponseAsync.Soon());

        Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
        Assert.StartsWith(problem, refused.Status.Detail);
        Assert.Empty(cluster.Host.Members.Snapshot.Members);
    }

    [Fact]
    public async Task A_proof_is_good_for_one_registration_only()
    {
        await using var cluster = await StartAsync(Token);
        var client = new Client(cluster.Channel);
        var worker = JoinToken.Load(Write("worker", Token));
        var request = Request();
        var headers = worker.HeadersFor(request);
        using (var call = client.RegisterAsync(request, headers))
        {
            await call.ResponseAsync.Soon();
            Assert.Null(worker.ProblemOfCoordinator(request, call.GetTrailers().GetValue(JoinToken.Header)));
        }

        var again = await Assert.ThrowsAsync<RpcException>(() => client.RegisterAsync(request, headers).ResponseAsync.Soon());
        Assert.Equal(StatusCode.AlreadyExists, again.StatusCode);
        Assert.Equal("this registration was made before: a worker makes a new key each time it registers", again.Status.Detail);

        var elsewhere = request.Clone();
        elsewhere.Address = "http://10.9.9.9:7000";
        var refused = await Assert.ThrowsAsync<RpcException>(() => client.RegisterAsync(elsewhere, headers).ResponseAsync.Soon());
        Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
    }

    [Fact]
    public void A_worker_does_not_stay_with_a_coordinator_that_does_not_know_it()
    {
        var (mine, theirs, request) = (JoinToken.Load(Write("mine", Token)), JoinToken.Load(Write("theirs", Other)), Request());
        Assert.NotNull(theirs.ProblemOfWorker(request, mine.HeadersFor(request).GetValue(JoinToken.Header), out var none));
        Assert.Equal("", none);

        Assert.StartsWith("the coordinator has no join token", mine.ProblemOfCoordinator(request, null));
        // Its own proof sent back to it proves nothing.
        var own = mine.HeadersFor(request).GetValue(JoinToken.Header);
        Assert.Equal("the coordinator does not know this worker's join token", mine.ProblemOfCoordinator(request, own));
    }

    [Fact]
    public void A_token_is_changed_while_processes_run()
    {
        var (coordinator, worker, request) = (JoinToken.Load(Write("coordinator", Token)), JoinToken.Load(Write("worker", Token)), Request());
        Write("coordinator", $"# the next one is last\n{Token}\n\n{Other}");
        Assert.True(Meet());
        Write("worker", Other);
        Assert.True(Meet());
        Write("coordinator", Other);
        Assert.True(Meet());
        Write("worker", "");   // in the middle of being written: what it knew stays
        Assert.True(Meet());
        Write("worker", Token);
        Assert.False(Meet());

        bool Meet() => coordinator.ProblemOfWorker(request, worker.HeadersFor(request).GetValue(JoinToken.Header), out var answer) is null
            && worker.ProblemOfCoordinator(request, answer) is null;
    }

    [Theory]
    [InlineData("", "there is no token in it")]
    [InlineData("# only words", "there is no token in it")]
    [InlineData("short", "a token must have 16 to 1024 characters")]
    public void A_file_without_a_token_is_one_line(string text, string problem)
    {
        var file = Write("token", text);

        var error = Assert.Throws<IOException>(() => JoinToken.Load(file));

        Assert.StartsWith($"--join-token-file: cannot use {file}: {problem}", error.Message);
        var missing = Assert.Throws<IOException>(() => JoinToken.Load(_folder.File("none")));
        Assert.StartsWith($"--join-token-file: cannot use {_folder.File("none")}: ", missing.Message);
    }

    Task<TestCluster> StartAsync(string token) => TestCluster.StartAsync(
        TestCluster.Options with { JoinTokenFile = Write("token", token) }, services => services.AddSingleton<IWorkerConfirmation>(new ReachedEverywhere()));

    string Write(string name, string text)
    {
        File.WriteAllText(_folder.File(name), text);
        return _folder.File(name);
    }

    static RegisterRequest Request() => new()
    {
        ProtocolVersion = ProtocolVersion.Current,
        Name = "a",
        Address = "http://10.1.2.3:7000",
        Key = PeerKey.Create().ToMessage(),
        InstanceId = ByteString.CopyFrom(RandomNumberGenerator.GetBytes(16)),
        Capabilities = new Capabilities { MemoryBytes = 1 << 30, Threads = 4, TensorTypes = { "Q8_0" }, ActivationTypes = { ActivationType.F32 } },
        Profile = new Profile(),
    };

    sealed class ReachedEverywhere : IWorkerConfirmation
    {
        public Task<string?> FirstProblemAsync(Uri address, PeerKey key, CancellationToken cancellation) => Task.FromResult<string?>(null);
    }
}
