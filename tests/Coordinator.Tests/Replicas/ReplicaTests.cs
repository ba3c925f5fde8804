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

public sealed class ReplicaTests : IAsyncLifetime
{
    readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    readonly CancellationTokenSource _stop = new();
    readonly HeldPipeline _pipeline = new(stages: 1, kvBlocks: 4);
    Replica _replica = null!;
    readonly ManualTimeProvider _time = new();
    Task _running = Task.CompletedTask;

    public Task InitializeAsync()
    {
        Start(new EngineOptions());
        _replica.Attach(_pipeline);
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
    public async Task A_cancelled_sequence_gives_its_blocks_back_while_its_step_is_under_way_and_the_next_step_has_them()
    {
        var first = Submit(TestCluster.Request([.. Enumerable.Range(3, 40)], maxTokens: 20));
        var step = await _pipeline.NextAsync();
        Submit(TestCluster.Request([.. Enumerable.Range(70, 64)], maxTokens: 1));   // needs all blocks
        _replica.Abandon(first);
        Assert.Equal(first.Run!.Id, await _pipeline.EndedAsync());
        HeldPipeline.Return(step);
        var chunk = Assert.Single((await _pipeline.NextAsync()).Step.Chunks);
        Assert.Equal((true, 4), (chunk.Introduces, chunk.NewBlocks.Count));
    }

    [Fact]
    public async Task Steps_are_taken_in_in_the_order_they_were_given_out()
    {
        var pipeline = new HeldPipeline(stages: 2, kvBlocks: 64);
        _replica.Attach(pipeline);
        var request = TestCluster.Request([.. Enumerable.Range(3, 900)], maxTokens: 1);
        var stream = Submit(request with { Sampling = request.Sampling with { TopLogprobs = 0, PromptLogprobs = true } });
        var (first, second) = (await pipeline.NextAsync(), await pipeline.NextAsync());
        second.Return.SetResult(Scored(id: 2));
        await Task.Yield();
        first.Return.SetResult(Scored(id: 1));
        var third = pipeline.NextAsync();
        for (var events = stream.ReadAllAsync(CancellationToken.None).GetAsyncEnumerator(); ;)
        {
            Assert.True(await events.MoveNextAsync().AsTask().Soon("the next event"));
            if (events.Current is not SequenceEvent.Prompt prompt) continue;
            Assert.Equal(1, Assert.Single(prompt.Tokens).Id);
            break;
        }
        await third;

        static StepReturn Scored(int id) => new StepReturn.Completed([new ChunkResult([], [new SampledToken(id, -1, [])])]);
    }

    [Fact]
    public async Task Another_view_has_nothing_of_what_the_last_one_computed()
    {
        for (var i = 0; i < 2; i++)
        {
            var pipeline = new HeldPipeline(stages: 1, kvBlocks: 4);
            _replica.Attach(pipeline);
            foreach (var cached in new[] { 0, 39 })
            {
                var stream = Submit(TestCluster.Request([.. Enumerable.Range(3, 40)], maxTokens: 1));
                HeldPipeline.Return(await pipeline.NextAsync());
                Assert.Equal(new SequenceEvent.Begun(cached), (await stream.ReadAllAsync(CancellationToken.None).ToListAsync().AsTask().Soon())[0]);
            }
        }
    }

    [Fact]
    public async Task A_reader_that_never_reads_does_not_hold_the_replica_up()
    {
        Submit(TestCluster.Request([3], maxTokens: 50));
        for (var i = 0; i < 50; i++) HeldPipeline.Return(await _pipeline.NextAsync());
        var next = Submit(TestCluster.Request([4], maxTokens: 1));
        HeldPipeline.Return(await _pipeline.NextAsync());
        var events = await next.ReadAllAsync(CancellationToken.None).ToListAsync().AsTask().Soon();
        Assert.Equal([new SequenceEvent.Begun(0), new SequenceEvent.Finished(FinishReason.Length)], [events[0], events[^1]]);
    }

    [Fact]
    public async Task A_sequence_that_failed_ends_with_an_error_and_the_others_go_on()
    {
        var pipeline = Attach(stages: 1, kvBlocks: 64);
        SequenceStream failing = Submit(TestCluster.Request([3, 4], maxTokens: 5)), other = Submit(TestCluster.Request([5, 6], maxTokens: 2));
        for (var step = await pipeline.NextAsync(); ; step = await pipeline.NextAsync())
        {
            step.Return.SetResult(new StepReturn.Completed([.. step.Step.Chunks.Select(chunk => chunk.Run == failing.Run
                ? ChunkResult.Failed("logits are not finite") : new ChunkResult([new SampledToken(5, -1, [])], []))]));
            if (step.Step.Chunks.Any(chunk => chunk.Run.Id == other.Run!.Id && chunk.Start == 2)) break;
        }
        Assert.Equal([new SequenceEvent.Failed("the sequence failed: logits are not finite", Retryable: false)], await EventsAsync(failing));
        Assert.Equal(new SequenceEvent.Finished(FinishReason.Length), (await EventsAsync(other))[^1]);
    }

    [Fact]
    public async Task Who_does_not_begin_in_time_is_refused()
    {
        Start(new EngineOptions { MaxRunning = 1, MaxWait = TimeSpan.FromSeconds(30) });
        var pipeline = Attach(stages: 1, kvBlocks: 64);
        var running = Submit(TestCluster.Request([3], maxTokens: 50));
        var step = await pipeline.NextAsync();
        var waiting = Submit(TestCluster.Request([4], maxTokens: 5));
        await TakenInAsync();
        _time.Advance(TimeSpan.FromSeconds(10));
        var later = Submit(TestCluster.Request([5], maxTokens: 5));
        await TakenInAsync();
        _time.Advance(TimeSpan.FromSeconds(20));
        var refused = Assert.IsType<SequenceEvent.Refused>(Assert.Single(await EventsAsync(waiting)));
        Assert.Equal((Refusal.WaitedTooLong, "the request waited 30 s for its turn; send it again later"), (refused.Why, refused.Message));
        await TakenInAsync();
        Assert.Equal(0, later.Unread);
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(Refusal.WaitedTooLong, Assert.IsType<SequenceEvent.Refused>(Assert.Single(await EventsAsync(later))).Why);
        Assert.Equal(4, running.Unread);   // it began, and has three tokens so far

        // When the next step comes, the loop has taken in all that was told it before.
        async Task TakenInAsync()
        {
            HeldPipeline.Return(step);
            step = await pipeline.NextAsync();
        }
    }

    [Fact]
    public async Task A_reader_far_behind_has_its_sequence_paused_until_it_reads_again()
    {
        Start(new EngineOptions { MaxUnreadTokens = 16 });
        var pipeline = Attach(stages: 1, kvBlocks: 64);
        var slow = Submit(TestCluster.Request([3], maxTokens: 60));
        for (var i = 0; i < 16; i++) HeldPipeline.Return(await pipeline.NextAsync());   // 17 events, with the first
        var other = Submit(TestCluster.Request([4], maxTokens: 3));
        for (var i = 0; i < 3; i++)
        {
            var step = await pipeline.NextAsync();
            Assert.Equal([other.Run!.Id], step.Step.Chunks.Select(chunk => chunk.Run.Id));
            HeldPipeline.Return(step);
        }
        Assert.Equal(5, (await EventsAsync(other)).Count);
        Assert.Equal(17, slow.Unread);
        var reading = EventsAsync(slow);
        for (var i = 16; i < 60; i++) HeldPipeline.Return(await pipeline.NextAsync());
        Assert.Equal(62, (await reading).Count);
    }

    [Fact]
    public async Task Many_choices_of_one_prompt_come_in_together_with_its_keys_computed_once()
    {
        Start(new EngineOptions { MaxRunning = 2, MaxWaiting = 6, MaxWaitingPerClient = 6 });
        var pipeline = Attach(stages: 1, kvBlocks: 1000);
        int[] prompt = [.. Enumerable.Range(3, 5000)];
        var choices = _replica.Submit([.. Enumerable.Range(0, 5).Select(_ => TestCluster.Request(prompt, maxTokens: 1))]);
        Assert.Single(choices.Select(choice => choice.Keys).Distinct());
        await pipeline.NextAsync();
        var tooMany = _replica.Submit([.. Enumerable.Range(0, 4).Select(_ => TestCluster.Request(prompt, maxTokens: 1))]);
        foreach (var stream in tooMany) Assert.Equal(Refusal.QueueFull, Assert.IsType<SequenceEvent.Refused>(Assert.Single(await EventsAsync(stream))).Why);
        Assert.False(tooMany[0].Keys.AreKnown);   // nothing was computed for what was refused
        var fitting = _replica.Submit([.. Enumerable.Range(0, 3).Select(_ => TestCluster.Request(prompt, maxTokens: 1))]);
        var crowd = Submit(TestCluster.Request([3], maxTokens: 1));
        Assert.Equal(Refusal.QueueFull, Assert.IsType<SequenceEvent.Refused>(Assert.Single(await EventsAsync(crowd))).Why);
        Assert.All(fitting, stream => Assert.Equal(0, stream.Unread));
    }

    [Fact]
    public async Task The_times_of_a_sequence_come_with_its_end()
    {
        var pipeline = Attach(stages: 1, kvBlocks: 64);
        var held = Submit(TestCluster.Request([.. Enumerable.Range(3, 128)], maxTokens: 0));
        var first = await pipeline.NextAsync();
        var stream = Submit(TestCluster.Request([3], maxTokens: 3));
        _replica.Abandon(held);
        Assert.Equal(held.Run!.Id, await pipeline.EndedAsync());
        _time.Advance(TimeSpan.FromSeconds(1));
        HeldPipeline.Return(first);
        for (var i = 0; i < 3; i++)
        {
            var step = await pipeline.NextAsync();
            _time.Advance(TimeSpan.FromSeconds(2));
            HeldPipeline.Return(step);
        }
        var times = Assert.IsType<SequenceEvent.Finished>((await EventsAsync(stream))[^1]).Times!;
        Assert.Equal((1.0, 3.0, 7.0), (times.Begun!.Value.TotalSeconds, times.FirstToken!.Value.TotalSeconds, times.LastToken!.Value.TotalSeconds));
        Assert.Equal(new DateTimeOffset(2025, 11, 22, 0, 0, 0, TimeSpan.Zero), times.Submitted);
    }

    [Theory]
    [InlineData(40, 25)]
    [InlineData(64, 1)]
    public async Task Nobody_asked_for_more_tokens_than_fit_where_the_limit_is_a_default(int prompt, int expected)
    {
        var request = TestCluster.Request([.. Enumerable.Range(3, prompt)], maxTokens: 1000);
        Assert.Equal(Refusal.TooLarge, Assert.IsType<SequenceEvent.Refused>(Assert.Single(await EventsAsync(Submit(request)))).Why);
        var stream = Submit(request with { MaxTokensIsDefault = true });
        for (var i = 0; i < expected; i++) HeldPipeline.Return(await _pipeline.NextAsync());
        var events = await EventsAsync(stream);
        Assert.Equal((expected, new SequenceEvent.Finished(FinishReason.Length)), (events.OfType<SequenceEvent.Token>().Count(), events[^1]));
    }

    void Start(EngineOptions options)
    {
        var metrics = new CoordinatorMetrics(_services.GetRequiredService<IMeterFactory>());
        _replica = new Replica(
            "replica-0", options, new ClusterDeadlines(), new ModelIdentity("model", "digest"), metrics, _time, NullLogger<Replica>.Instance);
        _running = Task.WhenAll(_running, _replica.RunAsync(_stop.Token));
    }

    [Fact]
    public async Task Everybody_who_drains_is_told()
    {
        var stream = Submit(TestCluster.Request([3, 4, 5], maxTokens: 4));
        await _pipeline.NextAsync();
        var (leaving, stopping) = (_replica.DrainAsync("a worker is leaving"), _replica.DrainAsync("the coordinator is stopping", forGood: true));
        _replica.Abandon(stream);
        await Task.WhenAll(leaving, stopping).Soon("both drains end");
    }

    [Fact]
    public async Task A_view_that_gets_ready_while_the_process_stops_takes_nothing()
    {
        _replica.Status = new EngineStatus(true, "", 1);
        await _replica.DrainAsync("the coordinator is stopping", forGood: true).Soon();
        _replica.Attach(new HeldPipeline(stages: 1, kvBlocks: 64));
        _replica.Status = new EngineStatus(true, "", 2);
        Assert.Equal((false, "the coordinator is stopping"), (_replica.Status.Ready, _replica.Status.Reason));
        var events = await EventsAsync(Submit(TestCluster.Request([3, 4, 5], maxTokens: 4)));
        Assert.Contains("the coordinator is stopping", Assert.IsType<SequenceEvent.Refused>(Assert.Single(events)).Message);
    }

    HeldPipeline Attach(int stages, int kvBlocks)
    {
        var pipeline = new HeldPipeline(stages, kvBlocks);
        _replica.Attach(pipeline);
        return pipeline;
    }

    static Task<List<SequenceEvent>> EventsAsync(SequenceStream stream) =>
        stream.ReadAllAsync(CancellationToken.None).ToListAsync().AsTask().Soon("the sequence ends");

    SequenceStream Submit(SequenceRequest request) => Assert.Single(_replica.Submit([request]));
}
