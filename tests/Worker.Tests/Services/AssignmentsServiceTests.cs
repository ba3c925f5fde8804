using Grpc.Core;
using Grpc.Health.V1;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Tests.Fakes;
using static Grpc.Health.V1.HealthCheckResponse.Types;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Services;

public class AssignmentsServiceTests(ModelFile file) : IClassFixture<ModelFile>
{
    [Fact]
    public async Task Assign_FromTheLocalPath_TellsPhasesAndWhatIsReady()
    {
        await using var worker = await TestWorker.StartAsync();
        Assert.Equal(ServingStatus.NotServing, await HealthAsync(worker));

        var news = await AssignAsync(worker, view: 1);

        Assert.Equal(Phase.Opening, news[0].Phase);
        var (loading, ready) = (news.First(n => n.Phase == Phase.Loading), news[^1]);
        using var weights = file.Model.Weights();
        var layerBytes = weights.Tensors.Where(t => t.Name.StartsWith("blk.", StringComparison.Ordinal)).Sum(t => t.Bytes);
        Assert.Equal((ulong)layerBytes, loading.BytesTotal);
        Assert.Equal(($"local {file.Path}", 64u, (ulong)layerBytes), (ready.Source, ready.KvBlockCount, ready.BytesDone));
        Assert.Equal((ulong)layerBytes + 64 * FakeShardModel.BlockBytes, ready.ResidentBytes);
        Assert.Equal(ServingStatus.Serving, await HealthAsync(worker));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3000)]
    public async Task Assign_MoreBlocksThanFitOrNoCount_GivesThoseThatFit(uint wanted)
    {
        await using var worker = await TestWorker.StartAsync(options => options with { MemoryBytes = 2_000_000 });
        var ready = (await AssignAsync(worker, 1, request => request.KvBlockCount = wanted))[^1];
        Assert.InRange(ready.ResidentBytes, 1_999_000UL, 2_000_000UL);
        Assert.InRange(ready.KvBlockCount, 1u, 2000u);
    }

    [Fact]
    public async Task Assign_WeightsThatLeaveNoRoom_IsRefusedWithTheArithmetic()
    {
        await using var worker = await TestWorker.StartAsync(options => options with { MemoryBytes = 1000 });
        var e = await RefusedAsync(worker, Request(worker, 1));
        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
        Assert.Contains("one KV block of 1000 bytes do not fit in the 1000 bytes", e.Status.Detail);
        Assert.Equal((0, 0), (worker.Model.LiveStages, worker.Model.Loads));
        Assert.Empty(worker.Model.Read);
    }

    [Fact]
    public async Task Assign_LayersOfWhichSomeAreInMemory_ReadsOnlyTheOthers()
    {
        await using var worker = await TestWorker.StartAsync();
        await using var other = await TestWorker.StartAsync();
        await TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([worker, other], file.Digest, file.Layers, 1), 0, file.Path);
        worker.Model.Read.Clear();
        await AssignAsync(worker, view: 2);
        Assert.Equal(["3", "4", "5"], worker.Model.Read.Select(name => name.Split('.')[1]).Distinct());
    }

    [Fact]
    public async Task Assign_AfterALoadingThatBrokeOff_GoesOnWhereItWas()
    {
        await using var worker = await TestWorker.StartAsync();
        var loading = new TaskCompletionSource();
        worker.Model.OnRead = (part, cancellation) =>
        {
            if (!part.Tensor.Name.StartsWith("blk.4.", StringComparison.Ordinal)) return;
            loading.TrySetResult();
            cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(20));
            cancellation.ThrowIfCancellationRequested();
        };
        using (worker.Assignments.Assign(Request(worker, 1))) await Deadline.Within(loading.Task, "loading to come to layer 4");
        worker.Model.OnRead = (_, _) => { };

        await AssignAsync(worker, view: 2);

        Assert.Equal(worker.Model.Read.Distinct(), worker.Model.Read);
        Assert.Equal(1, worker.Model.Loads);
    }

    [Fact]
    public async Task Prepare_LoadsWeightsOnly_AndAnAssignOfTheSameShardFindsThem()
    {
        await using var worker = await TestWorker.StartAsync();
        var rehearsed = new List<int>();
        worker.Model.OnRun = step =>
        {
            rehearsed.Add(Assert.Single(step.Chunks).Count);
            return null;
        };
        var ready = await PrepareAsync(worker, Request(worker, view: 7));
        Assert.Equal([4, 1], rehearsed);
        Assert.Equal((Phase.Ready, 0u, $"local {file.Path}"), (ready.Phase, ready.KvBlockCount, ready.Source));
        Assert.Equal((1, 0, ServingStatus.NotServing), (worker.Model.Loads, worker.Model.LiveStages, await HealthAsync(worker)));
        Assert.Equal(64u, (await AssignAsync(worker, view: 1))[^1].KvBlockCount);   // the view that was prepared for counts for nothing
        Assert.Equal((1, 1), (worker.Model.Loads, worker.Model.LiveStages));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Prepare_ThatComesLate_LeavesTheViewThatIsServed(ulong view)
    {
        await using var worker = await TestWorker.StartAsync();
        await AssignAsync(worker, view: 2);
        var refused = await Assert.ThrowsAsync<RpcException>(() => PrepareAsync(worker, Request(worker, view)));
        Assert.Equal((StatusCode.FailedPrecondition, $"view {view} is not above 2, the last one accepted here"), (refused.StatusCode, refused.Status.Detail));
        Assert.Equal((1, ServingStatus.Serving), (worker.Model.LiveStages, await HealthAsync(worker)));
        Assert.Equal(Phase.Ready, (await PrepareAsync(worker, Request(worker, view: 3))).Phase);
    }

    [Theory]
    [InlineData(1, 1, "view 1 does not run here; 2 is the last one accepted")]
    [InlineData(3, 1, "view 3 does not run here; 2 is the last one accepted")]
    [InlineData(2, 0, "change 0 of adapters is not above 0, the last one made here")]
    [InlineData(2, 1, "this shard has no place for adapters")]
    public async Task SetAdapters_ThatIsLateOrForAnotherView_ChangesNothing(ulong view, ulong change, string expected)
    {
        await using var worker = await TestWorker.StartAsync();
        await AssignAsync(worker, view: 2);
        var request = new Wire.SetAdaptersRequest { ViewVersion = view, Epoch = Request(worker, view).Epoch, Change = change };
        using var call = worker.Assignments.SetAdapters(request, deadline: Deadline.Call);
        var refused = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal((StatusCode.FailedPrecondition, expected), (refused.StatusCode, refused.Status.Detail));
        Assert.Equal((1, ServingStatus.Serving), (worker.Model.LiveStages, await HealthAsync(worker)));
    }

    [Fact]
    public async Task Prepare_InterruptedByAnAssign_LeavesWhatItHasRead()
    {
        await using var worker = await TestWorker.StartAsync();
        var loading = new TaskCompletionSource();
        worker.Model.OnRead = (part, cancellation) =>
        {
            if (!part.Tensor.Name.StartsWith("blk.4.", StringComparison.Ordinal) || !loading.TrySetResult()) return;
            cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(20));
            cancellation.ThrowIfCancellationRequested();
        };
        using var preparing = worker.Assignments.Prepare(Request(worker, view: 1), deadline: Deadline.Call);
        await Deadline.Within(loading.Task, "loading to come to layer 4");
        await AssignAsync(worker, view: 2);
        Assert.Equal(worker.Model.Read.Distinct(), worker.Model.Read);
    }

    static async Task<Wire.LoadProgress> PrepareAsync(TestWorker worker, Wire.AssignRequest request)
    {
        using var call = worker.Assignments.Prepare(request, deadline: Deadline.Call);
        var last = new Wire.LoadProgress();
        while (await call.ResponseStream.MoveNext(CancellationToken.None)) last = call.ResponseStream.Current;
        return last;
    }

    [Fact]
    public async Task Assign_MoreRanksInTheNextStage_TakesBuffersForEach()
    {
        await using var worker = await TestWorker.StartAsync();
        var (one, three) = (await ResidentAsync(view: 1, 1, 1), await ResidentAsync(view: 2, 1, 3));
        Assert.Equal((ulong)(2 * (ActivationSender.Buffers * 64 * file.Model.Config.HiddenSize * sizeof(float) + IPeerLink.BufferBytes)), three - one);

        async Task<ulong> ResidentAsync(ulong view, params int[] ranks)
        {
            Uri[] addresses = [worker.Host.Address, .. Enumerable.Range(1, ranks.Sum() - 1).Select(port => new Uri($"http://127.0.0.1:{port}"))];
            return (await TestPipeline.AssignAsync(
                worker, TestPipeline.PlanOf(addresses, file.Digest, file.Layers, view, ranks), 0, file.Path))[^1].ResidentBytes;
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public async Task Assign_OfNoNewerView_IsRefusedAndChangesNothing(ulong view)
    {
        await using var worker = await TestWorker.StartAsync();
        await AssignAsync(worker, view: 5);
        var e = await RefusedAsync(worker, Request(worker, view));
        Assert.Equal((StatusCode.FailedPrecondition, $"view {view} is not above 5, the last one accepted here"), (e.StatusCode, e.Status.Detail));
        Assert.Equal(ServingStatus.Serving, await HealthAsync(worker));
    }

    [Fact]
    public async Task Assign_WhileAnOlderOneLoads_CancelsIt()
    {
        await using var worker = await TestWorker.StartAsync();
        var loading = new TaskCompletionSource();
        worker.Model.OnLoad = cancellation =>
        {
            loading.TrySetResult();
            if (worker.Model.Loads == 0) cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(20));
            cancellation.ThrowIfCancellationRequested();
        };
        var older = RefusedAsync(worker, Request(worker, 1));
        await Deadline.Within(loading.Task, "the older one to load");
        worker.Model.OnLoad = _ => { };

        var newer = await AssignAsync(worker, view: 2);

        Assert.Equal(2UL, newer[^1].ViewVersion);
        var e = await older;
        Assert.Equal((StatusCode.Aborted, "view 1 was replaced by view 2 while it was loading"), (e.StatusCode, e.Status.Detail));
        Assert.Equal((1, 1), (worker.Model.LiveWeights, worker.Model.LiveStages));
    }

    [Fact]
    public async Task Assign_TheCallerGoesAway_StopsLoading()
    {
        await using var worker = await TestWorker.StartAsync();
        var (loading, stopped) = (new TaskCompletionSource(), new TaskCompletionSource());
        worker.Model.OnLoad = cancellation =>
        {
            loading.TrySetResult();
            if (cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(20))) stopped.TrySetResult();
            cancellation.ThrowIfCancellationRequested();
        };
        using (worker.Assignments.Assign(Request(worker, 1))) await Deadline.Within(loading.Task, "loading to begin");
        await Deadline.Within(stopped.Task, "loading to stop");
    }

    [Fact]
    public async Task Assign_TheSameShardAgain_KeepsTheWeights()
    {
        await using var worker = await TestWorker.StartAsync();
        await AssignAsync(worker, view: 1);
        var again = await AssignAsync(worker, view: 2, request => request.KvBlockCount = 32);
        Assert.Equal((1, 32u, $"local {file.Path}"), (worker.Model.Loads, again[^1].KvBlockCount, again[^1].Source));
        Assert.Equal((1, 1), (worker.Model.LiveWeights, worker.Model.LiveStages));
    }

    [Fact]
    public async Task Assign_OtherLayers_GivesUpTheOldOnesFirst()
    {
        await using var worker = await TestWorker.StartAsync();
        await using var other = await TestWorker.StartAsync();
        await AssignAsync(worker, view: 1);
        worker.Model.OnLoad = _ => Assert.Equal(0, worker.Model.LiveWeights);
        await TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([other, worker], file.Digest, file.Layers, 2), 1, file.Path);
        Assert.Equal((2, 1, 1), (worker.Model.Loads, worker.Model.LiveWeights, worker.Model.LiveStages));
    }

    [Fact]
    public async Task Assign_NeitherPathNorWeights_SaysWhereItLooked()
    {
        await using var worker = await TestWorker.StartAsync();
        var e = await RefusedAsync(worker, Request(worker, 1, request => request.ModelPath = "/nowhere/model.gguf"));
        Assert.Equal(StatusCode.Aborted, e.StatusCode);
        Assert.Contains("weights from http://127.0.0.1:1", e.Status.Detail);
    }

    [Fact]
    public async Task Assign_AnInvalidPlan_IsInvalidAndTheWorkerLivesOn()
    {
        await using var worker = await TestWorker.StartAsync();
        var e = await RefusedAsync(worker, Request(worker, 1, request => request.Plan.LayerCount = 99));
        Assert.Equal(StatusCode.InvalidArgument, e.StatusCode);
        await AssignAsync(worker, view: 1);
    }

    [Fact]
    public async Task Assign_APlanWithOtherLayersThanTheModel_IsRefused()
    {
        await using var worker = await TestWorker.StartAsync();
        var plan = TestPipeline.PlanOf([worker], file.Digest, file.Layers + 1, 1);
        var e = await RefusedAsync(worker, TestPipeline.Assignment(plan, 0, file.Path));
        Assert.Equal((StatusCode.FailedPrecondition, "the model has 6 layers, the plan 7"), (e.StatusCode, e.Status.Detail));
    }

    Task<IReadOnlyList<Wire.LoadProgress>> AssignAsync(TestWorker worker, ulong view, Action<Wire.AssignRequest>? change = null) =>
        TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([worker], file.Digest, file.Layers, view), 0, file.Path, change);

    Wire.AssignRequest Request(TestWorker worker, ulong view, Action<Wire.AssignRequest>? change = null)
    {
        var request = TestPipeline.Assignment(TestPipeline.PlanOf([worker], file.Digest, file.Layers, view), 0, file.Path);
        change?.Invoke(request);
        return request;
    }

    static Task<RpcException> RefusedAsync(TestWorker worker, Wire.AssignRequest request) => Assert.ThrowsAsync<RpcException>(async () =>
    {
        using var call = worker.Assignments.Assign(request, deadline: Deadline.Call);
        while (await call.ResponseStream.MoveNext(CancellationToken.None)) Assert.NotEqual(Phase.Ready, call.ResponseStream.Current.Phase);
    });

    static async Task<ServingStatus> HealthAsync(TestWorker worker) =>
        (await new Health.HealthClient(worker.Channel).CheckAsync(new HealthCheckRequest { Service = ClusterHealth.Ready }, deadline: Deadline.Call)).Status;
}
