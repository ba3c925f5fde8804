using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;
using Client = LlamaCluster.Protos.Membership.MembershipClient;

namespace LlamaCluster.Coordinator.Tests.Membership;

public sealed class MembershipServiceTests : IAsyncLifetime
{
    TestCluster _cluster = null!;
    Client _client = null!;

    public async Task InitializeAsync()
    {
        _cluster = await TestCluster.StartAsync(change: services => services.AddSingleton<IWorkerConfirmation>(new ReachedEverywhere()));
        _client = new Client(_cluster.Channel);
    }

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    static readonly PeerKey Key = PeerKey.Create();

    static Metadata As(string worker) => Key.ToHeaders(new WorkerId(worker));

    static RegisterRequest Good => new()
    {
        ProtocolVersion = ProtocolVersion.Current,
        Name = "a",
        Address = "http://10.1.2.3:7000",
        Key = Key.ToMessage(),
        Capabilities = new Capabilities
        {
            MemoryBytes = 1 << 30,
            Threads = 4,
            InstructionSet = "avx2",
            TensorTypes = { "Q8_0" },
            ActivationTypes = { ActivationType.F32 },
        },
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
        {
            "older version", r => r.ProtocolVersion = 1, StatusCode.Unimplemented,
            $"the coordinator speaks protocol version {ProtocolVersion.Current}, the worker 1: run the same release on both"
        },
        {
            "newer version", r => r.ProtocolVersion = ProtocolVersion.Current + 1, StatusCode.Unimplemented,
            $"the worker {ProtocolVersion.Current + 1}: run the same release"
        },
        { "no version", r => r.ProtocolVersion = 0, StatusCode.Unimplemented, "protocol version" },
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
        { "no key", r => r.Key = ByteString.Empty, StatusCode.InvalidArgument, "key has 0 bytes, not 32" },
        { "short key", r => r.Key = ByteString.CopyFromUtf8("secret"), StatusCode.InvalidArgument, "key has 6 bytes" },
        { "instance", r => r.InstanceId = ByteString.CopyFrom(new byte[65]), StatusCode.InvalidArgument, "instance_id is 65" },
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
        await Assert.ThrowsAsync<RpcException>(
            () => _client.RegisterAsync(new RegisterRequest { ProtocolVersion = ProtocolVersion.Current }).ResponseAsync.Soon());
        var least = new RegisterRequest { ProtocolVersion = ProtocolVersion.Current, Address = "http://h:1", Key = Key.ToMessage() };
        Assert.Equal("w1", (await _client.RegisterAsync(least).ResponseAsync.Soon()).WorkerId);
    }

    [Fact]
    public async Task Heartbeats_are_answered_and_the_end_of_their_stream_is_the_end_of_the_worker()
    {
        var id = (await _client.RegisterAsync(Good).ResponseAsync.Soon()).WorkerId;
        using (var call = _client.Heartbeat(As(id)))
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
        { new HeartbeatRequest { WorkerId = "w99", State = WorkerState.Idle }, StatusCode.InvalidArgument },
        { new HeartbeatRequest { WorkerId = "", State = WorkerState.Idle }, StatusCode.InvalidArgument },
        { new HeartbeatRequest { WorkerId = "w1" }, StatusCode.InvalidArgument },
        { new HeartbeatRequest { WorkerId = "w1", State = (WorkerState)77 }, StatusCode.InvalidArgument },
    };

    [Theory]
    [MemberData(nameof(BadHeartbeats))]
    public async Task A_heartbeat_that_makes_no_sense_is_refused(HeartbeatRequest beat, StatusCode expected)
    {
        await _client.RegisterAsync(Good).ResponseAsync.Soon();
        using var call = _client.Heartbeat(As("w1"));
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
        using var call = _client.Heartbeat(As("w1"));
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
        await _client.DrainAsync(new DrainRequest { WorkerId = id }, As(id)).ResponseAsync.Soon();
        Assert.Equal(WorkerState.Draining, Assert.Single((await _client.ListWorkersAsync(new ListWorkersRequest()).ResponseAsync.Soon()).Workers).State);
        var error = await Assert.ThrowsAsync<RpcException>(() => _client.DrainAsync(new DrainRequest { WorkerId = "w77" }, As(id)).ResponseAsync.Soon());
        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
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

    public static TheoryData<string, Metadata> Strangers => new()
    {
        { "no key", [] },
        { "a key of nobody", PeerKey.Create().ToHeaders(new WorkerId("w1")) },
        { "no id", Key.ToHeaders() },
        { "an id that nobody has", Key.ToHeaders(new WorkerId("w2")) },
        { "half a key", new Metadata { { PeerKey.WorkerHeader, "w1" }, { PeerKey.Header, Key.ToHeaders().GetValue(PeerKey.Header)![..32] } } },
        { "no hex", new Metadata { { PeerKey.WorkerHeader, "w1" }, { PeerKey.Header, new string('x', 64) } } },
    };

    [Theory]
    [MemberData(nameof(Strangers))]
    public async Task A_stranger_cannot_speak_for_a_worker(string what, Metadata headers)
    {
        await _client.RegisterAsync(Good).ResponseAsync.Soon();
        using var beating = _client.Heartbeat(As("w1"));
        await beating.RequestStream.WriteAsync(new HeartbeatRequest { WorkerId = "w1", State = WorkerState.Idle }).Soon();
        Assert.True(await beating.ResponseStream.MoveNext(CancellationToken.None).Soon());

        using var foreign = _client.Heartbeat(headers);
        var beat = await Assert.ThrowsAsync<RpcException>(() => foreign.ResponseStream.MoveNext(CancellationToken.None).Soon(what));
        var drain = await Assert.ThrowsAsync<RpcException>(() => _client.DrainAsync(new DrainRequest { WorkerId = "w1" }, headers).ResponseAsync.Soon(what));
        var weights = await Assert.ThrowsAsync<RpcException>(
            () => new Protos.Weights.WeightsClient(_cluster.Channel)
                .DescribeAsync(new DescribeModelRequest { ModelDigest = _cluster.Host.Model.Digest }, headers).ResponseAsync.Soon(what));

        Assert.All([beat, drain, weights], error => Assert.Equal(
            (StatusCode.Unauthenticated, "the call shows no key of a worker that is registered here; register (again) first"),
            (error.StatusCode, error.Status.Detail)));
        Assert.Equal(WorkerState.Idle, Assert.Single((await _client.ListWorkersAsync(new ListWorkersRequest()).ResponseAsync.Soon()).Workers).State);
    }

    [Fact]
    public async Task A_stranger_cannot_take_a_workers_place_by_registering_at_its_address()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        var request = Good;
        request.Address = PeerAddress.Format(cluster.Workers[0].Address);
        var error = await Assert.ThrowsAsync<RpcException>(() => new Client(cluster.Channel).RegisterAsync(request).ResponseAsync.Soon());
        Assert.Equal(StatusCode.Unavailable, error.StatusCode);
        Assert.Contains("another worker answers there", error.Status.Detail);
        Assert.True(cluster.Host.Status.Value.IsReady);
        Assert.Equal(10, (await cluster.TokensAsync(TestCluster.Request([1, 2, 3]))).Length);
    }

    [Fact]
    public async Task A_worker_that_cannot_be_called_back_is_not_taken_in_and_ready_says_what_to_do()
    {
        await using var cluster = await TestCluster.StartAsync();
        var request = Good;
        request.Address = "http://127.0.0.1:1";
        var error = await Assert.ThrowsAsync<RpcException>(() => new Client(cluster.Channel).RegisterAsync(request).ResponseAsync.Soon());
        Assert.Equal(StatusCode.Unavailable, error.StatusCode);
        Assert.StartsWith("the coordinator cannot reach this worker at http://127.0.0.1:1: ", error.Status.Detail);
        Assert.EndsWith("start it with --listen and an address that the coordinator reaches", error.Status.Detail);
        await cluster.StatusAsync(status => status.Reason.Contains("worker a cannot be reached at http://127.0.0.1:1: "), "the reason names it");
        Assert.Empty((await new Client(cluster.Channel).ListWorkersAsync(new ListWorkersRequest()).ResponseAsync.Soon()).Workers);
    }

    [Fact]
    public async Task The_same_process_that_registers_again_keeps_its_id()
    {
        var request = Good;
        request.InstanceId = ByteString.CopyFromUtf8("the same process");
        Assert.Equal("w1", (await _client.RegisterAsync(request).ResponseAsync.Soon()).WorkerId);
        Assert.Equal("w1", (await _client.RegisterAsync(request).ResponseAsync.Soon()).WorkerId);
        request.InstanceId = ByteString.CopyFromUtf8("another process");
        Assert.Equal("w2", (await _client.RegisterAsync(request).ResponseAsync.Soon()).WorkerId);
    }

    [Fact]
    public async Task A_message_that_is_no_protobuf_is_refused_without_a_word_of_the_program()
    {
        var garbage = new Method<byte[], byte[]>(
            MethodType.Unary, Protos.Membership.Descriptor.FullName, "Register",
            Marshallers.Create(bytes => bytes, bytes => bytes), Marshallers.Create(bytes => bytes, bytes => bytes));
        var error = await Assert.ThrowsAsync<RpcException>(
            () => _cluster.Channel.CreateCallInvoker().AsyncUnaryCall(garbage, null, new CallOptions(), [0xff, 0xff, 0xff, 0xff]).ResponseAsync.Soon());
        Assert.Equal((StatusCode.InvalidArgument, "the message cannot be read as protobuf"), (error.StatusCode, error.Status.Detail));
    }

    [Fact]
    public async Task What_anyone_may_send_is_small()
    {
        var request = Good;
        request.Name = new string('x', MessageBudgets.FromAnyone);
        var error = await Assert.ThrowsAsync<RpcException>(() => _client.RegisterAsync(request).ResponseAsync.Soon());
        Assert.Equal(StatusCode.ResourceExhausted, error.StatusCode);
    }

    sealed class ReachedEverywhere : IWorkerConfirmation
    {
        public Task<string?> FirstProblemAsync(Uri address, PeerKey key, CancellationToken cancellation) => Task.FromResult<string?>(null);
    }
}
