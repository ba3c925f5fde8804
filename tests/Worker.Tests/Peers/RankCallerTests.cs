using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.Logging;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Worker.Tests.Peers;

/// <summary>Rank 1 calls a rank 0 that a test has made.</summary>
public sealed class RankCallerTests
{
    readonly LogLines _log = new();

    [Theory]
    [InlineData("tcp", "grpc")]
    [InlineData("grpc", "tcp")]
    public async Task The_faster_link_is_chosen_and_the_log_says_why(string slow, string chosen)
    {
        using var never = new ManualResetEventSlim();
        var peer = new FakeLowerRank(Rank(0))
        {
            Echo = link => LinkTiming.Echo(link.Kind == slow ? new SlowedLink(link, () => never.Wait(TimeSpan.FromMilliseconds(5))) : link),
        };

        await using var call = await CallAsync(peer);

        Assert.Equal(chosen, (await call.Link).Kind);
        Assert.Matches(
            $"^View 5: partial sums to rank 0 .* go by {chosen}; 32 KiB take one way [0-9]+ us by tcp, [0-9]+ us by grpc$".ToLowerInvariant(),
            _log.ToString().ToLowerInvariant());
    }

    [Theory]
    [InlineData(PeerLinkPreference.Tcp, "grpc", "tcp")]
    [InlineData(PeerLinkPreference.Grpc, "tcp", "grpc")]
    public async Task Who_insists_gets_it_even_if_it_is_slower(PeerLinkPreference preference, string other, string chosen)
    {
        using var never = new ManualResetEventSlim();
        var peer = new FakeLowerRank(Rank(0))
        {
            Echo = link => LinkTiming.Echo(link.Kind == other ? link : new SlowedLink(link, () => never.Wait(TimeSpan.FromMilliseconds(5)))),
        };

        await using var call = await CallAsync(peer, preference);

        Assert.Equal(chosen, (await call.Link).Kind);
    }

    [Fact]
    public async Task A_direct_connection_that_cannot_be_reached_leaves_the_stream_and_the_log_says_why()
    {
        await using var call = await CallAsync(new FakeLowerRank(Rank(0)) { ChangeHello = hello => hello.Direct.Port = 1 });

        Assert.Equal("grpc", (await call.Link).Kind);
        Assert.Matches("go by Grpc; 32 KiB take one way [0-9]+ us by grpc \\(port 1: .*\\)$", _log.ToString());
    }

    [Fact]
    public async Task Who_insists_on_a_direct_connection_that_cannot_be_reached_is_told_why_there_is_none()
    {
        await using var call = await CallAsync(new FakeLowerRank(Rank(0)) { ChangeHello = hello => hello.Direct.Port = 1 }, PeerLinkPreference.Tcp);

        Assert.Matches("^--peer-link is tcp, but there is no direct connection to rank 0 .*: port 1: ", (await FailureAsync(call)).Message);
    }

    [Fact]
    public async Task A_direct_connection_that_does_not_know_the_token_leaves_the_stream()
    {
        await using var call = await CallAsync(new FakeLowerRank(Rank(0))
        {
            ChangeHello = hello => hello.Direct.Token = Google.Protobuf.ByteString.CopyFrom(new byte[32]),
        });

        Assert.Equal("grpc", (await call.Link).Kind);
        Assert.Contains("it did not take the token", _log.ToString());
    }

    public static TheoryData<string, Action<RankHello>> Refused => new()
    {
        { "does not agree: view_version is 6 there and 5 here", hello => hello.ViewVersion = 6 },
        { "does not agree: model_digest is bad there", hello => hello.ModelDigest = "bad" },
        { "does not agree: hidden_size is 32 there and 64 here", hello => hello.HiddenSize = 32 },
        { "does not agree: shard.rank is 2, which is not 0", hello => hello.Shard.Rank = 2 },
        { "offered a direct connection that can be none", hello => hello.Direct.Port = 0 },
        { "offered a direct connection that can be none", hello => hello.Direct.Port = 70_000 },
        { "offered a direct connection that can be none", hello => hello.Direct.Token = Google.Protobuf.ByteString.CopyFrom(new byte[31]) },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task An_answer_that_does_not_fit_is_refused_by_name(string expected, Action<RankHello> change)
    {
        await using var call = await CallAsync(new FakeLowerRank(Rank(0)) { ChangeHello = change });

        Assert.Contains(expected, (await FailureAsync(call)).Message);
    }

    [Fact]
    public async Task Something_else_than_a_hello_is_refused()
    {
        await using var call = await CallAsync(new FakeLowerRank(Rank(0)) { Instead = new RankMessage { Frame = new RankFrame() } });

        Assert.Contains("sent something else than a hello", (await FailureAsync(call)).Message);
    }

    [Fact]
    public async Task A_rank_that_hangs_up_is_named()
    {
        await using var call = await CallAsync(new FakeLowerRank(Rank(0)) { HangsUp = true });

        Assert.Matches("^rank 0 .* ended the stream instead of saying hello$", (await FailureAsync(call)).Message);
    }

    [Fact]
    public async Task A_rank_that_answers_probes_with_something_else_is_named()
    {
        await using var call = await CallAsync(new FakeLowerRank(Rank(0))
        {
            Echo = link => link.Send(new LinkHeader(5, 1, RankFrame.Types.Content.SumF32, 0, 0), new byte[8]),
        });

        Assert.Matches("^rank 0 .* answered a probe with 8 bytes of SumF32", (await FailureAsync(call)).Message);
    }

    [Fact]
    public async Task A_rank_that_never_answers_a_probe_is_waited_for_until_the_deadline_only()
    {
        using var deadline = new CancellationTokenSource();
        var silent = new FakeLowerRank(Rank(0))
        {
            Echo = link =>
            {
                link.Receive(out _, new byte[IPeerLink.MaxPayload]);
                deadline.Cancel();
            },
        };
        await using var call = await CallAsync(silent, cancellation: deadline.Token);

        Assert.Contains("it took too long to choose between the direct connection and the stream", (await FailureAsync(call)).Message);
    }

    async Task<Call> CallAsync(FakeLowerRank peer, PeerLinkPreference preference = PeerLinkPreference.Auto, CancellationToken cancellation = default)
    {
        var service = await LoopbackService.StartAsync(peer);
        var options = new WorkerOptions { Coordinator = service.Address, PeerLink = preference, PeerTimeout = WaitExtensions.Deadline };
        using var factory = LoggerFactory.Create(logging => logging.AddProvider(_log));
        var caller = new RankCaller(new PeerChannels(), options, factory.CreateLogger<RankCaller>());
        return new Call(service, caller.CallAsync(Rank(1), new ShardAssignment(new WorkerId("w0"), service.Address, 1, Rank(0).Shard), cancellation).Soon());
    }

    static Task<PeerLinkException> FailureAsync(Call call) => Assert.ThrowsAsync<PeerLinkException>(() => call.Link);

    static GroupShape Rank(int rank) =>
        new(5, new string('a', 64), 1, new Shard(new LayerRange(6, 3), new TensorSlice(rank, 3)), 64, 512, ActivationType.F32) { Key = TestKeys.View };

    sealed record Call(LoopbackService Service, Task<ChosenLink> Link) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            if (Link.IsCompletedSuccessfully) await Link.Result.DisposeAsync();
            await Service.DisposeAsync();
        }
    }
}
