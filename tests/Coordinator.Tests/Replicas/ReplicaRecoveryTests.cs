using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Coordinator.Tests.Replicas;

/// <summary>Views end, sequences do not.</summary>
public sealed class ReplicaRecoveryTests : IAsyncLifetime
{
    static readonly PipelineFailure Death = new(new WorkerId("w1"), WorkerLost: true, "worker a was lost");
    static readonly PipelineFailure StepError = new(new WorkerId("w1"), WorkerLost: false, "worker a failed: Internal") { IsStepError = true };
    static readonly TimeSpan Recovery = TimeSpan.FromSeconds(60);

    readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    readonly CancellationTokenSource _stop = new();
    readonly ManualTimeProvider _time = new();
    Replica _replica = null!;
    Task _running = Task.CompletedTask;

    public Task InitializeAsync()
    {
        Start(new EngineOptions { Speculate = false });
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.Soon();
        _stop.Dispose();
        await _services.DisposeAsync();
    }

    [Fact]
    public async Task A_sequence_goes_on_in_the_next_view_with_no_token_twice_and_none_missing()
    {
        var first = Attach();
        var stream = Submit([3, 4, 5], maxTokens: 5);
        HeldPipeline.Return(await first.NextAsync(), token: 10);
        HeldPipeline.Return(await first.NextAsync(), token: 11);
        await first.NextAsync();   // under way when the view ends
        _replica.Detach(first, Death);
        var second = Attach();
        var chunk = Assert.Single((await Step(second, token: 12)).Chunks);
        Assert.Equal((0, 5, true, 1), (chunk.Start, chunk.Count, chunk.Introduces, chunk.SampleCount));
        await Step(second, token: 13);
        await Step(second, token: 14);
        var events = await EventsAsync(stream);
        Assert.Equal(new SequenceEvent.Begun(0), events[0]);
        Assert.Equal([10, 11, 12, 13, 14], events.OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id));
        Assert.Equal((new SequenceEvent.Finished(FinishReason.Length), 7), (events[^1], events.Count));
    }

    [Fact]
    public async Task Log_probabilities_of_a_prompt_are_delivered_once()
    {
        var pipeline = Attach();
        int[] prompt = [.. Enumerable.Range(3, 200)];
        var request = TestCluster.Request(prompt, maxTokens: 1);
        var stream = Assert.Single(_replica.Submit([request with { Sampling = request.Sampling with { TopLogprobs = 0, PromptLogprobs = true } }]));
        ReturnScored(await pipeline.NextAsync());
        await pipeline.NextAsync();
        _replica.Detach(pipeline, Death);
        pipeline = Attach();
        ReturnScored(await pipeline.NextAsync());
        ReturnScored(await pipeline.NextAsync());
        var scored = (await EventsAsync(stream)).OfType<SequenceEvent.Prompt>().SelectMany(part => part.Tokens).Select(token => token.Id);
        Assert.Equal(prompt[1..], scored);

        void ReturnScored((ScheduledStep Step, TaskCompletionSource<StepReturn> Return) sent) => sent.Return.SetResult(new StepReturn.Completed(
        [
            .. sent.Step.Chunks.Select(chunk => new ChunkResult(
                chunk.SampleCount == 0 ? [] : [new SampledToken(5, -1, [])],
                [.. Enumerable.Range(chunk.Start, chunk.Count).Where(position => position > 0)
                    .Select(position => new SampledToken(prompt[position], -1, []))])),
        ]));
    }

    [Fact]
    public async Task Without_a_view_requests_come_wait_leave_and_are_bounded_as_with_one()
    {
        Start(new EngineOptions { MaxRunning = 1, MaxWaiting = 2, MaxWaitingPerClient = 2 });
        var pipeline = Attach();
        var running = Submit([3], maxTokens: 3);
        await pipeline.NextAsync();
        _replica.Detach(pipeline, Death);
        Assert.Equal(1, (await _replica.CountAsync().Soon()).Sequences);
        _replica.Status = new EngineStatus(false, "worker a was lost", 1);
        Assert.Equal((false, true, true), (_replica.Status.Ready, _replica.Status.IsRecovering, _replica.Status.TakesSequences));

        SequenceStream leaving = Submit([4], 1), waiting = Submit([5], 1);
        Assert.Equal(Refusal.QueueFull, Assert.IsType<SequenceEvent.Refused>(Assert.Single(await EventsAsync(Submit([6], 1)))).Why);
        _replica.Abandon(leaving);
        Assert.Equal(new ReplicaLoad(2, 2), await _replica.CountAsync().Soon());

        pipeline = Attach();
        Assert.Equal([running.Sequence!.Id], (await Step(pipeline)).Chunks.Select(chunk => chunk.Run.Id));
        Assert.True(_replica.Status.TakesSequences);   // also before the supervisor has said that the view is ready
        _replica.Status = new EngineStatus(true, "", 1);
        Assert.Equal((true, false), (_replica.Status.Ready, _replica.Status.IsRecovering));
        for (var i = 0; i < 3; i++) await Step(pipeline);
        Assert.Equal(5, (await EventsAsync(running)).Count);
        Assert.Equal(3, (await EventsAsync(waiting)).Count);
    }

    [Fact]
    public async Task When_nobody_takes_over_in_time_all_end_and_new_requests_are_refused()
    {
        var pipeline = Attach();
        var running = Submit([3], maxTokens: 3);
        await pipeline.NextAsync();
        _replica.Detach(pipeline, Death);
        await _replica.CountAsync().Soon();
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.True(_replica.Status.IsRecovering);
        // Another view that computes nothing does not begin the time anew.
        pipeline = Attach();
        await pipeline.NextAsync();
        _replica.Detach(pipeline, Death);
        await _replica.CountAsync().Soon();
        _time.Advance(TimeSpan.FromSeconds(30));
        var failed = Assert.IsType<SequenceEvent.Failed>(Assert.Single(await EventsAsync(running)));
        Assert.True(failed.Retryable);
        Assert.Equal(
            "worker a was lost, and no other worker could take over within 60 s, and the request with it; send the request again once /ready says yes",
            failed.Message);
        Assert.Equal(Refusal.NotReady, Assert.IsType<SequenceEvent.Refused>(Assert.Single(await EventsAsync(Submit([4], 1)))).Why);
        Assert.False(_replica.Status.IsRecovering);
        pipeline = Attach();
        var later = Submit([5], maxTokens: 1);
        await Step(pipeline);
        Assert.Equal(3, (await EventsAsync(later)).Count);
    }

    [Fact]
    public async Task Who_left_while_waiting_takes_no_time_from_those_that_wait_for_a_later_view()
    {
        var pipeline = Attach();
        var left = Submit([3], maxTokens: 3);
        await pipeline.NextAsync();
        _replica.Detach(pipeline, Death);
        pipeline = Attach();
        await pipeline.NextAsync();
        _replica.Abandon(left);
        Assert.Equal(0, (await _replica.CountAsync().Soon()).Sequences);
        _time.Advance(2 * Recovery);

        _replica.Detach(pipeline, Death);
        var waiting = Submit([4], maxTokens: 1);
        Assert.Equal(1, (await _replica.CountAsync().Soon()).Sequences);
        await Step(Attach());
        Assert.Equal(3, (await EventsAsync(waiting)).Count);
    }

    [Fact]
    public async Task A_reader_far_behind_stays_paused_in_the_next_view()
    {
        Start(new EngineOptions { MaxUnreadTokens = 16, Speculate = false });
        var pipeline = Attach();
        var slow = Submit([3], maxTokens: 60);
        for (var i = 0; i < 16; i++) await Step(pipeline);
        var other = Submit([4], maxTokens: 2);
        await pipeline.NextAsync();
        _replica.Detach(pipeline, Death);
        pipeline = Attach();
        for (var i = 0; i < 2; i++) Assert.Equal([other.Sequence!.Id], (await Step(pipeline)).Chunks.Select(chunk => chunk.Run.Id));
        var reading = EventsAsync(slow);
        for (var i = 16; i < 60; i++) await Step(pipeline);
        Assert.Equal(62, (await reading).Count);
    }

    [Fact]
    public async Task A_cluster_with_less_room_gives_fewer_tokens_to_whom_nobody_promised_more_and_ends_the_others()
    {
        var pipeline = Attach(kvBlocks: 8);
        int[] prompt = [.. Enumerable.Range(3, 30)];
        var streams = _replica.Submit([TestCluster.Request(prompt, 1000) with { MaxTokensIsDefault = true }, TestCluster.Request(prompt[1..], 90)]);
        var (byDefault, asked) = (streams[0], streams[1]);
        await pipeline.NextAsync();
        _replica.Detach(pipeline, Death);
        pipeline = Attach(kvBlocks: 4);
        var failed = Assert.IsType<SequenceEvent.Failed>((await EventsAsync(asked))[^1]);
        Assert.Contains("may need 118 positions of KV cache, but the cluster has room for 64 now", failed.Message);
        for (var i = 0; i < 35; i++) await Step(pipeline);
        Assert.Equal(37, (await EventsAsync(byDefault)).Count);   // 64 positions hold 30 and 34 tokens; one more is sampled but never run
    }

    [Fact]
    public async Task A_sequence_that_breaks_a_step_twice_ends_with_its_own_error()
    {
        var pipeline = Attach();
        var stream = Submit([3], maxTokens: 3);
        await Step(pipeline);
        for (var i = 0; i < 2; i++)
        {
            await pipeline.NextAsync();
            _replica.Detach(pipeline, StepError);
            if (i == 0) pipeline = Attach();
        }
        var failed = Assert.IsType<SequenceEvent.Failed>((await EventsAsync(stream))[^1]);
        Assert.Equal(
            (false, "the sequence failed: workers failed 2 times in a row as they computed it, the last time: worker a failed: Internal"),
            (failed.Retryable, failed.Message));
    }

    /// <param name="calm">No worker had died for long.</param>
    [Theory]
    [InlineData(true, 2)]
    [InlineData(false, 3)]
    public async Task A_sequence_that_ends_workers_is_found_among_others_which_go_on(bool calm, int times)
    {
        if (calm) _time.Advance(PoisonWatch.Calm);
        var pipeline = Attach();
        SequenceStream[] good = [Submit([3], maxTokens: 20), Submit([4], maxTokens: 20)];
        var bad = Submit([5, 6], maxTokens: 20);
        var (deaths, ends) = (0, Task.WhenAll(good.Append(bad).Select(EventsAsync)));
        for (var next = pipeline.NextAsync(); await Task.WhenAny(next, ends) == next; next = pipeline.NextAsync())
        {
            var step = await next;
            if (step.Step.Chunks.All(chunk => chunk.Run.Id != bad.Sequence!.Id))
            {
                HeldPipeline.Return(step);
                continue;
            }
            deaths++;
            pipeline.Left = step.Step;
            _replica.Detach(pipeline, Death);
            pipeline = Attach();
        }
        var events = await ends;
        Assert.Equal(times, deaths);
        Assert.Contains($"workers failed {times} times in a row", Assert.IsType<SequenceEvent.Failed>(events[2][^1]).Message);
        Assert.All(events[..2], its => Assert.Equal((new SequenceEvent.Finished(FinishReason.Length), 22), (its[^1], its.Count)));
    }

    void Start(EngineOptions options)
    {
        var metrics = new CoordinatorMetrics(_services.GetRequiredService<IMeterFactory>());
        _replica = new Replica(
            "replica-0", options, new ClusterDeadlines { Recovery = Recovery }, new ModelIdentity("model", "digest"), metrics,
            _time, NullLogger<Replica>.Instance);
        _running = Task.WhenAll(_running, _replica.RunAsync(_stop.Token));
    }

    HeldPipeline Attach(int kvBlocks = 64)
    {
        var pipeline = new HeldPipeline(stages: 1, kvBlocks);
        _replica.Attach(pipeline);
        return pipeline;
    }

    /// <summary>Lets the next step return.</summary>
    static async Task<ScheduledStep> Step(HeldPipeline pipeline, int token = 5)
    {
        var sent = await pipeline.NextAsync();
        HeldPipeline.Return(sent, token);
        return sent.Step;
    }

    static Task<List<SequenceEvent>> EventsAsync(SequenceStream stream) =>
        stream.ReadAllAsync(CancellationToken.None).ToListAsync().AsTask().Soon("the sequence ends");

    SequenceStream Submit(IReadOnlyList<int> prompt, int maxTokens) => Assert.Single(_replica.Submit([TestCluster.Request(prompt, maxTokens)]));
}
