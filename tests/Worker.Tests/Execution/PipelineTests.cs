using LlamaCluster.Model.Sequences;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Tests.Fakes;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Execution;

/// <summary>Workers as a pipeline over real gRPC, with a model whose answers are known: token t becomes t + layers.</summary>
public class PipelineTests(ModelFile file) : IClassFixture<ModelFile>
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(2, PeerLinkPreference.Shm)]
    [InlineData(3, PeerLinkPreference.Tcp)]
    [InlineData(6, PeerLinkPreference.Grpc)]
    public async Task Step_ThroughAnyNumberOfStages_GivesTheLastOnesSamples(int stages, PeerLinkPreference link = PeerLinkPreference.Auto)
    {
        await using var workers = await StartAsync(stages, options => options with { PeerLink = link });
        await using var pipeline = await OpenAsync(workers);

        for (var step = 0; step < 5; step++)
        {
            var result = await pipeline.ExecuteAsync(pipeline.Step((ulong)step + 1, step * 3, 10, 20, 30 + step));
            Assert.Equal(30 + step + file.Layers, Assert.Single(Assert.Single(result.Sequences).Tokens).Id);
            Assert.Equal(3u, result.Timings.Rows);
        }
        if (link == PeerLinkPreference.Auto) return;
        var told = $" go by {link.ToString().ToLowerInvariant()}";
        foreach (var worker in workers.All.SkipLast(1)) Assert.Contains(worker.Log.Lines, line => line.EndsWith(told, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Stages_ThatInsistOnDifferentLinks_AreToldSo()
    {
        var preferences = new Queue<PeerLinkPreference>([PeerLinkPreference.Grpc, PeerLinkPreference.Shm]);
        await using var workers = await StartAsync(2, options => options with { PeerLink = preferences.Dequeue() });
        var refused = await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await using var pipeline = await OpenAsync(workers);
            await pipeline.ExecuteAsync(pipeline.Step(1, 0, 5));
        });
        Assert.Contains("--peer-link is Grpc there and Shm here", refused.Message);
    }

    [Fact]
    public async Task Steps_SentAheadOfTheAnswers_AreAnsweredInOrder()
    {
        await using var workers = await StartAsync(3);
        await using var pipeline = await OpenAsync(workers);
        for (ulong step = 1; step <= 20; step++) await pipeline.SendAsync(pipeline.Step(step, (int)step - 1, (int)step));
        for (ulong step = 1; step <= 20; step++)
        {
            Assert.Equal(step, (await pipeline.ReplyAsync(0)).Done.StepId);
            Assert.Equal(step, (await pipeline.ReplyAsync(1)).Done.StepId);
            var result = (await pipeline.ReplyAsync(2)).Result;
            Assert.Equal((step, (int)step + file.Layers), (result.StepId, result.Sequences[0].Tokens[0].Id));
        }
    }

    [Theory]
    [InlineData(Wire.ActivationType.F32, 4)]
    [InlineData(Wire.ActivationType.Bf16, 2)]
    public async Task Step_ThroughStages_SaysWhatEachOneSent(Wire.ActivationType type, int bytes)
    {
        await using var workers = await StartAsync(2);
        await using var pipeline = await OpenAsync(workers, request => request.ActivationType = type);
        await pipeline.SendAsync(pipeline.Step(1, 0, 5, 6, 7));
        Assert.Equal((ulong)(3 * file.Model.Config.HiddenSize * bytes), (await pipeline.ReplyAsync(0)).Done.Timings.ActivationBytes);
        Assert.Equal(0UL, (await pipeline.ReplyAsync(1)).Result.Timings.ActivationBytes);
    }

    /// <summary>The first stage computes step 2 while the second one is still in step 1.</summary>
    [Fact]
    public async Task Steps_OfTwoStages_RunAtTheSameTime()
    {
        await using var workers = await StartAsync(2);
        using var firstStageIsAhead = new ManualResetEventSlim();
        workers[0].Model.OnRun = step =>
        {
            if (step.Chunks[0].Start == 1) firstStageIsAhead.Set();
            return null;
        };
        workers[1].Model.OnRun = _ => firstStageIsAhead.Wait(TimeSpan.FromSeconds(20)) ? null : new StepOutcome.Refused("the stages ran one after the other");
        await using var pipeline = await OpenAsync(workers);
        await pipeline.SendAsync(pipeline.Step(1, 0, 5));
        await pipeline.SendAsync(pipeline.Step(2, 1, 6));
        Assert.NotNull((await pipeline.ReplyAsync(1)).Result);
        Assert.NotNull((await pipeline.ReplyAsync(1)).Result);
    }

    [Theory]
    [InlineData(Wire.ActivationType.F32)]
    [InlineData(Wire.ActivationType.Bf16)]
    [InlineData(Wire.ActivationType.Q8)]
    public async Task Step_OfManyRows_TravelsInSeveralFrames(Wire.ActivationType type)
    {
        const int rows = 20_000;   // of 64 values: 5 MB as f32
        await using var workers = await StartAsync(2);
        await using var pipeline = await OpenAsync(workers, request => (request.MaxStepRows, request.ActivationType) = (rows, type));
        var result = await pipeline.ExecuteAsync(pipeline.Step(1, 0, [.. Enumerable.Repeat(9, rows)]));
        Assert.Equal(9 + file.Layers, result.Sequences[0].Tokens[0].Id);
    }

    [Fact]
    public async Task Step_ThatAStageRefuses_EndsTheViewOnEveryStage()
    {
        await using var workers = await StartAsync(3);
        workers[1].Model.OnRun = step => step.Chunks[0].Start == 1 ? new StepOutcome.Refused("sequence 1 is unknown") : null;
        await using var pipeline = await OpenAsync(workers);
        await pipeline.ExecuteAsync(pipeline.Step(1, 0, 5));

        await pipeline.SendAsync(pipeline.Step(2, 1, 6));

        var refused = (await pipeline.ReplyAsync(1)).Failed;
        Assert.Equal((2UL, Reason.BadStep, "sequence 1 is unknown"), (refused.StepId, refused.Reason, refused.Message));
        var starved = (await pipeline.ReplyAsync(2)).Failed;
        Assert.Equal((2UL, Reason.PeerLost), (starved.StepId, starved.Reason));
        Assert.Equal(2UL, (await pipeline.ReplyAsync(0)).Done.StepId);
        Assert.Equal(Reason.PeerLost, (await pipeline.ReplyAsync(0)).Failed.Reason);

        await pipeline.SendAsync(pipeline.Step(3, 2, 7));
        Assert.Equal((3UL, Reason.PeerLost), await FailureAsync(pipeline, 0));
        Assert.Equal((3UL, Reason.BadStep), await FailureAsync(pipeline, 1));
        Assert.Equal((3UL, Reason.PeerLost), await FailureAsync(pipeline, 2));
        await Task.WhenAll(workers.All.Select(worker => worker.Model.StagesGone)).Soon();   // answered first, and freed then
        Assert.All(workers.All, worker => Assert.Equal((0, 1), (worker.Model.LiveStages, worker.Model.LiveWeights)));
    }

    [Fact]
    public async Task Step_ThatThrows_IsAnInternalFailureAndTheWorkerLivesOn()
    {
        await using var workers = await StartAsync(1);
        workers[0].Model.OnRun = _ => throw new InvalidOperationException("a bug");
        await using (var pipeline = await OpenAsync(workers))
        {
            await pipeline.SendAsync(pipeline.Step(1, 0, 5));
            Assert.Equal(Reason.Internal, (await pipeline.ReplyAsync(0)).Failed.Reason);
        }
        workers[0].Model.OnRun = _ => null;
        await using var next = await OpenAsync(workers, view: 2);
        Assert.Equal(5 + file.Layers, (await next.ExecuteAsync(next.Step(1, 0, 5))).Sequences[0].Tokens[0].Id);
    }

    [Fact]
    public async Task Step_WithHostileNumbers_IsABadStep()
    {
        await using var workers = await StartAsync(1);
        await using var pipeline = await OpenAsync(workers);
        var step = pipeline.Step(1, 0, 5);
        step.Chunks[0].Count = int.MinValue;
        await pipeline.SendAsync(step);
        var failed = (await pipeline.ReplyAsync(0)).Failed;
        Assert.Equal((1UL, Reason.BadStep), (failed.StepId, failed.Reason));
        Assert.Contains("count of sequence 1", failed.Message);
    }

    [Fact]
    public async Task Step_WhoseIdDoesNotGrow_IsABadStep()
    {
        await using var workers = await StartAsync(1);
        await using var pipeline = await OpenAsync(workers);
        await pipeline.ExecuteAsync(pipeline.Step(3, 0, 5));
        await pipeline.SendAsync(pipeline.Step(3, 1, 5));
        Assert.Equal(Reason.BadStep, (await pipeline.ReplyAsync(0)).Failed.Reason);
    }

    [Fact]
    public async Task Step_OfAnotherView_IsStaleAndDoesNotEndThisOne()
    {
        await using var workers = await StartAsync(1);
        await using var pipeline = await OpenAsync(workers, view: 5);
        var stale = pipeline.Step(1, 0, 5);
        stale.ViewVersion = 4;
        await pipeline.SendAsync(stale);
        Assert.Equal(Reason.StaleView, (await pipeline.ReplyAsync(0)).Failed.Reason);
        Assert.NotNull(await pipeline.ExecuteAsync(pipeline.Step(1, 0, 5)));
    }

    [Fact]
    public async Task SequencesEnded_ReachTheStageInTheirTurn()
    {
        await using var workers = await StartAsync(1);
        var events = new List<string>();
        workers[0].Model.OnRun = step =>
        {
            events.Add($"run {step.Chunks[0].Start}");
            return null;
        };
        workers[0].Model.OnEnd = id => events.Add($"end {id}");
        await using var pipeline = await OpenAsync(workers);
        await pipeline.SendAsync(pipeline.Step(1, 0, 5));
        await pipeline.SendAsync(0, new Wire.StepRequest { Ended = new Wire.SequencesEnded { ViewVersion = 1, SequenceIds = { 1, 9 } } });
        await pipeline.SendAsync(pipeline.Step(2, 1, 5));
        await pipeline.ReplyAsync(0);
        await pipeline.ReplyAsync(0);
        Assert.Equal(["run 0", "end 1", "end 9", "run 1"], events);
    }

    [Fact]
    public async Task Activations_ThatNeverCome_FailTheStepAtTheDeadline()
    {
        await using var workers = await StartAsync(2, options => options with { PeerTimeout = TimeSpan.FromMilliseconds(200) });
        await using var pipeline = await OpenAsync(workers);
        await pipeline.SendAsync(1, new Wire.StepRequest { Step = pipeline.Step(1, 0, 5) });
        var failed = (await pipeline.ReplyAsync(1)).Failed;
        Assert.Equal((1UL, Reason.PeerLost), (failed.StepId, failed.Reason));
        Assert.Matches("^no activations of step 1 came from stage 0: .*: nothing came for 0.2 s$", failed.Message);
    }

    [Fact]
    public async Task Activations_OfAStepThatIsExpectedToBeSlow_AreWaitedFor()
    {
        await using var workers = await StartAsync(2, options => options with { PeerTimeout = TimeSpan.FromMilliseconds(200) });
        using var never = new ManualResetEventSlim();
        workers[0].Model.OnRun = _ => never.Wait(TimeSpan.FromMilliseconds(600)) ? new StepOutcome.Refused("it was set") : null;
        await using var pipeline = await OpenAsync(workers, request => request.StepTimeoutMilliseconds = 20_000);
        Assert.Equal(5 + file.Layers, (await pipeline.ExecuteAsync(pipeline.Step(1, 0, 5))).Sequences[0].Tokens[0].Id);
    }

    [Theory]
    [InlineData(PeerLinkPreference.Grpc)]
    [InlineData(PeerLinkPreference.Tcp)]
    [InlineData(PeerLinkPreference.Shm)]
    public async Task Worker_ThatDiesInAStep_FailsTheStepOnItsNeighbours(PeerLinkPreference link)
    {
        await using var workers = await StartAsync(3, options => options with { PeerLink = link });
        using var dying = new ManualResetEventSlim();
        var inStep = new TaskCompletionSource();
        workers[1].Model.OnRun = _ =>
        {
            inStep.TrySetResult();
            dying.Wait(TimeSpan.FromSeconds(20));
            return null;
        };
        await using var pipeline = await OpenAsync(workers);
        await pipeline.SendAsync(pipeline.Step(1, 0, 5));
        await Deadline.Within(inStep.Task, "the second stage to be in the step");

        var death = workers[1].DisposeAsync();
        Assert.Equal(1UL, (await pipeline.ReplyAsync(0)).Done.StepId);
        Assert.Equal(Reason.PeerLost, (await pipeline.ReplyAsync(0)).Failed.Reason);
        dying.Set();
        await Deadline.Within(death.AsTask(), "the worker's end");
        workers.Forget(1);
        pipeline.Break(2);
    }

    [Fact]
    public async Task Coordinator_ThatVanishes_EndsTheViewButKeepsTheWeights()
    {
        await using var workers = await StartAsync(2);
        await using (var pipeline = await OpenAsync(workers))
        {
            await pipeline.ExecuteAsync(pipeline.Step(1, 0, 5));
            pipeline.Break(0);
            await pipeline.SendAsync(1, new Wire.StepRequest { Step = pipeline.Step(2, 1, 5) });
            Assert.Matches("stage 0.* ended (its stream|the connection|the link)", (await pipeline.ReplyAsync(1)).Failed.Message);
        }
        await using var next = await OpenAsync(workers, view: 2);
        Assert.NotNull(await next.ExecuteAsync(next.Step(1, 0, 5)));
        Assert.Equal((1, 1, 1, 1), (workers[0].Model.Loads, workers[0].Model.LiveWeights, workers[1].Model.Loads, workers[1].Model.LiveStages));
    }

    static async Task<(ulong StepId, Reason Reason)> FailureAsync(TestPipeline pipeline, int stage)
    {
        var failed = (await pipeline.ReplyAsync(stage)).Failed;
        return (failed.StepId, failed.Reason);
    }

    async Task<Workers> StartAsync(int count, Func<WorkerOptions, WorkerOptions>? change = null) => await Workers.StartAsync(count, change);

    Task<TestPipeline> OpenAsync(Workers workers, Action<Wire.AssignRequest>? change = null, ulong view = 1) =>
        TestPipeline.StartAsync(workers.All, file.Path, file.Digest, file.Layers, view, change);
}
