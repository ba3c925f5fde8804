using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Client = LlamaCluster.Protos.Membership.MembershipClient;

namespace LlamaCluster.Coordinator.Tests.Membership;

public sealed class MembershipServiceTests : IAsyncLifetime
{
    TestCluster _cluster = null!;
    Client _client = null!;

    public async Task InitializeAsync()
    {
        _cluster = await TestCluster.StartAsync();
        _client = new Client(_cluster.Channel);
    }

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    static RegisterRequest Good => new()
    {
        ProtocolVersion = ProtocolVersion.Current,
        Name = "a",
        Address = "http://10.1.2.3:7000",
        Capabilities = new Capabilities { MemoryBytes = 1 << 30, Threads = 4, InstructionSet = "avx2", TensorTypes = { "Q8_0" }, ActivationTypes = { ActivationType.F32 } },
        Profile = new Profile { MemoryReadBytesPerSecond = 1e10, HostProcessors = 4, HostMemoryReadBytesPerSecond = 3e10, HostMultiplyAddsPerSecond = 5e11 },
    };

    [Fact]
    public async Task A_registered_worker_is_listed_with_what_it_said()
    {
        var reply = await _client.RegisterAsync(Good).ResponseAsync.Soon();
        Assert.Equal((100u, (uint)WaitExtensions.Deadline.TotalMilliseconds), (reply.HeartbeatIntervalMilliseconds, reply.HeartbeatTimeoutMilliseconds));
        var listed = Assert.Single((await _client.ListWorkersAsync(new ListWorkersRequest()).ResponseAsync.Soon()).Workers);
        Assert.Equal((reply.WorkerId, "a", "http://10.1.2.3:7000", WorkerState.Idle), (listed.WorkerId, listed.Name, listed.Address, listed.State));
        Assert.Equal((Good.Capabilities, Good.Profile), (listed.Capabilities, listed.Profile));
        Assert.Null(listed.Shard);
    }

    public static TheoryData<string, Action<RegisterRequest>, StatusCode, string> Refused => new()
    {
        { "older version", r => r.ProtocolVersion = 1, StatusCode.FailedPrecondition, $"the coordinator speaks protocol version {ProtocolVersion.Current}, the worker 1: run the same release on both" },
        { "newer version", r => r.ProtocolVersion = ProtocolVersion.Current + 1, StatusCode.FailedPrecondition, $"the worker {ProtocolVersion.Current + 1}: run the same release" },
        { "no version", r => r.ProtocolVersion = 0, StatusCode.FailedPrecondition, "protocol version" },
        { "other model", r => r.ModelDigest = new string('a', 64), StatusCode.FailedPrecondition, "the worker has aaaaaaaaaaaa:" },
        { "digest", r => r.ModelDigest = "sha", StatusCode.InvalidArgument, "model_digest" },
        { "no address", r => r.Address = "", StatusCode.InvalidArgument, "address" },
        { "ftp", r => r.Address = "ftp://host:1", StatusCode.InvalidArgument, "address" },
        { "path", r => r.Address = "http://host:1/x", StatusCode.InvalidArgument, "address" },
        { "wildcard", r => r.Address = "http://0.0.0.0:1", StatusCode.InvalidArgument, "wildcard" },
        { "wildcard 6", r => r.Address = "http://[::]:1", StatusCode.InvalidArgument, "wildcard" },
        { "long name", r => r.Name = new string('x', 129), StatusCode.InvalidArgument, "name" },
        { "line break", r => r.Name = "a\nb", StatusCode.InvalidArgument, "name" },
        { "memory", r => r.Capabilities.MemoryBytes = ulong.MaxValue, StatusCode.InvalidArgument, "memory_bytes" },
        { "threads", r => r.Capabilities.Threads = uint.MaxValue, StatusCode.InvalidArgument, "threads" },
        { "types", r => r.Capabilities.TensorTypes.Add(Enumerable.Repeat("Q8_0", 100)), StatusCode.InvalidArgument, "tensor_types" },
        { "rate", r => r.Profile.MemoryReadBytesPerSecond = double.NaN, StatusCode.InvalidArgument, "memory_read" },
        { "shard", r => r.HeldShard = new Protos.Shard { LayerCount = 0 }, StatusCode.InvalidArgument, "shard" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task What_is_not_a_worker_for_this_cluster_is_refused_in_one_line(string what, Action<RegisterRequest> change, StatusCode code, string detail)
    {
        var request = Good;
        change(request);
        var error = await Assert.ThrowsAsync<RpcException>(() => _client.RegisterAsync(request).ResponseAsync.Soon(what));
        Assert.Equal(code, error.StatusCode);
        Assert.Contains(detail, error.Status.Detail);
        Assert.DoesNotContain('\n', error.Status.Detail);
        Assert.Empty((await _client.ListWorkersAsync(new ListWorkersRequest()).ResponseAsync.Soon()).Workers);
    }

    [Fact]
    public async Task Another_model_is_refused_with_both_digests()
    {
        var request = Good;
        request.ModelDigest = new string('b', 64);
        var error = await Assert.ThrowsAsync<RpcException>(() => _client.RegisterAsync(request).ResponseAsync.Soon());
        Assert.Contains($"serves model {_cluster.Host.Model.Digest[..12]} ", error.Status.Detail);
        Assert.Contains("has bbbbbbbbbbbb:", error.Status.Detail);
    }

    [Fact]
    public async Task The_same_model_is_welcome()
    {
        var request = Good;
        request.ModelDigest = _cluster.Host.Model.Digest;
        Assert.NotEmpty((await _client.RegisterAsync(request).ResponseAsync.Soon()).WorkerId);
    }

    [Fact]
    public async Task A_registration_of_nothing_is_refused_and_does_no_harm()
    {
        await Assert.ThrowsAsync<RpcException>(() => _client.RegisterAsync(new RegisterRequest()).ResponseAsync.Soon());
        await Assert.ThrowsAsync<RpcException>(() => _client.RegisterAsync(new RegisterRequest { ProtocolVersion = ProtocolVersion.Current }).ResponseAsync.Soon());
        var least = new RegisterRequest { ProtocolVersion = ProtocolVersion.Current, Address = "http://h:1" };
        Assert.Equal("w1", (await _client.RegisterAsync(least).ResponseAsync.Soon()).WorkerId);
    }

    [Fact]
    public async Task Heartbeats_are_answered_and_the_end_of_their_stream_is_the_end_of_the_worker()
    {
        var id = (await _client.RegisterAsync(Good).ResponseAsync.Soon()).WorkerId;
        using (var call = _client.Heartbeat())
        {
            await call.RequestStream.WriteAsync(new HeartbeatRequest { WorkerId = id, SequenceNumber = 7, State = WorkerState.Idle }).Soon();
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).Soon());
            Assert.Equal(7ul, call.ResponseStream.Current.SequenceNumber);
            await _cluster.StatusAsync(status => status.Reason.Contains("1 of 2"), "it counts");
        }
        await _cluster.StatusAsync(status => status.Reason.Contains("0 of 2"), "it does not count any more");
        Assert.Equal(WorkerState.Lost, Assert.Single((await _client.ListWorkersAsync(new ListWorkersRequest()).ResponseAsync.Soon()).Workers).State);
    }

    public static TheoryData<HeartbeatRequest, StatusCode> BadHeartbeats => new()
    {
        { new HeartbeatRequest { WorkerId = "w99", State = WorkerState.Idle }, StatusCode.NotFound },
        { new HeartbeatRequest { WorkerId = "", State = WorkerState.Idle }, StatusCode.InvalidArgument },
        { new HeartbeatRequest { WorkerId = "w1" }, StatusCode.InvalidArgument },
        { new HeartbeatRequest { WorkerId = "w1", State = (WorkerState)77 }, StatusCode.InvalidArgument },
        { new HeartbeatRequest { WorkerId = "w1", State = WorkerState.Idle, ViewVersion = ulong.MaxValue }, StatusCode.InvalidArgument },
    };

    [Theory]
    [MemberData(nameof(BadHeartbeats))]
    public async Task A_heartbeat_that_makes_no_sense_is_refused(HeartbeatRequest beat, StatusCode expected)
    {
        await _client.RegisterAsync(Good).ResponseAsync.Soon();
        using var call = _client.Heartbeat();
        await call.RequestStream.WriteAsync(beat).Soon();
        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.Equal(expected, error.StatusCode);
    }

    [Fact]
    public async Task A_stream_speaks_for_one_worker()
    {
        await _client.RegisterAsync(Good).ResponseAsync.Soon();
        var other = Good;
        other.Address = "http://10.1.2.3:7001";
        await _client.RegisterAsync(other).ResponseAsync.Soon();
        using var call = _client.Heartbeat();
        await call.RequestStream.WriteAsync(new HeartbeatRequest { WorkerId = "w1", State = WorkerState.Idle }).Soon();
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).Soon());
        await call.RequestStream.WriteAsync(new HeartbeatRequest { WorkerId = "w2", State = WorkerState.Idle }).Soon();
        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
    }

    [Fact]
    public async Task A_worker_without_a_shard_may_leave_at_once()
    {
        var id = (await _client.RegisterAsync(Good).ResponseAsync.Soon()).WorkerId;
        await _client.DrainAsync(new DrainRequest { WorkerId = id }).ResponseAsync.Soon();
        Assert.Equal(WorkerState.Draining, Assert.Single((await _client.ListWorkersAsync(new ListWorkersRequest()).ResponseAsync.Soon()).Workers).State);
        var error = await Assert.ThrowsAsync<RpcException>(() => _client.DrainAsync(new DrainRequest { WorkerId = "w77" }).ResponseAsync.Soon());
        Assert.Equal(StatusCode.NotFound, error.StatusCode);
    }

    [Fact]
    public async Task The_shards_of_a_plan_are_listed()
    {
        await _cluster.JoinAsync();
        await _cluster.JoinAsync();
        await _cluster.ReadyAsync();
        var listed = await _client.ListWorkersAsync(new ListWorkersRequest()).ResponseAsync.Soon();
        Assert.Equal(1ul, listed.ViewVersion);
        Assert.Equal([0u, 1u], listed.Workers.Select(worker => worker.Stage));
        Assert.Equal(0u, listed.Workers[0].Shard.FirstLayer);
        Assert.Equal(listed.Workers[0].Shard.LayerCount, listed.Workers[1].Shard.FirstLayer);
    }
}
