using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Peers;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace LlamaCluster.Coordinator.Tests.Peers;

/// <summary>Where sequences go, and how they go on when a replica is lost. The coordinator's own replica is not ready here, so that others are asked.</summary>
public sealed class ClusterRouterTests : IDisposable
{
    static readonly int[] Prompt = [5, 6, 7];

    readonly FakeTimeProvider _time = new();
    readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    readonly KnownPrefixes _prefixes = new();
    readonly FakeReplica _one = new("one");
    readonly FakeReplica _two = new("two");
    readonly OwnReplica _own;
    readonly ClusterRouter _router;

    public ClusterRouterTests()
    {
        var (options, model) = (new EngineOptions(), new ModelIdentity("model", new string('a', 64)));
        var metrics = new CoordinatorMetrics(_services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>());
        var replica = new Replica("own", options, new ClusterDeadlines(), model, metrics, _time, NullLogger<Replica>.Instance);
        _own = new OwnReplica(replica, options, metrics, new PrefixNews());
        _router = new ClusterRouter(
            _own, new Others([_one, _two]), _prefixes, new SequenceRules(2048, 512), model, new ClusterDeadlines(), _time, NullLogger<ClusterRouter>.Instance);
    }

    public void Dispose()
    {
        _own.Dispose();
        _services.Dispose();
    }

    [Fact]
    public async Task A_sequence_whose_replica_is_lost_goes_on_on_another_with_every_token_once()
    {
        var reading = ReadAsync(Request(20));
        _one.Runs[0].Begin(cached: 2);
        _one.Runs[0].Generate(7);
        _one.Lose();
        await UntilAsync(() => _two.Runs.Count == 1);
        Assert.Equal(FakeModel.Continue(Prompt, 7), _two.Runs[0].Request.SoFar!.Generated);
        _two.Runs[0].Begin(cached: 5);
        _two.Runs[0].Finish();
        var events = await reading.Soon();
        Assert.Equal(FakeModel.Continue(Prompt, 20), Tokens(events));
        Assert.Equal([(2, "one"), (2, "two")], events.OfType<SequenceEvent.Begun>().Select(begun => (begun.CachedTokens, begun.Replica)));
        Assert.Equal(new SequenceEvent.Finished(FinishReason.Length), events[^1]);
        Assert.True(_one.Runs[0].IsLeft && _two.Runs[0].IsLeft);
    }

    [Fact]
    public async Task So_does_one_that_failed_in_a_way_that_can_be_retried_and_one_that_ended_without_a_word()
    {
        var reading = ReadAsync(Request(6));
        _one.Runs[0].Begin();
        _one.Runs[0].Generate(2);
        _one.Runs[0].Send(new SequenceEvent.Failed("its coordinator is stopping", Retryable: true));
        await UntilAsync(() => _two.Runs.Count == 1);
        _two.Runs[0].Finish();
        Assert.Equal(FakeModel.Continue(Prompt, 6), Tokens(await reading.Soon()));
    }

    [Fact]
    public async Task Only_the_word_that_it_has_ended_can_be_lost()
    {
        var reading = ReadAsync(Request(3));
        _one.Runs[0].Begin();
        _one.Runs[0].Generate(3);
        await UntilAsync(() => true);
        _one.Lose();
        Assert.Equal(new SequenceEvent.Finished(FinishReason.Length), (await reading.Soon())[^1]);
        Assert.Empty(_two.Runs);

        var stop = FakeModel.Continue(Prompt, 2)[^1];
        _one.Lose(false);
        var stopping = ReadAsync(Request(9, stop));
        _one.Runs[1].Begin();
        _one.Runs[1].Generate(2);
        _one.Runs[1].Send(new SequenceEvent.Failed("lost", Retryable: true));
        Assert.Equal(new SequenceEvent.Finished(FinishReason.Stop), (await stopping.Soon())[^1]);
        Assert.Empty(_two.Runs);
    }

    [Fact]
    public async Task Log_probabilities_of_the_prompt_are_delivered_once()
    {
        var reading = ReadAsync(Request(2) with { Sampling = new SamplingOptions { PromptLogprobs = true, TopLogprobs = 0 } });
        _one.Runs[0].Begin();
        _one.Runs[0].Send(new SequenceEvent.Prompt([new SampledToken(6, 0, [])]));
        _one.Runs[0].Send(new SequenceEvent.Failed("lost", Retryable: true));
        await UntilAsync(() => _two.Runs.Count == 1);
        Assert.Equal(1, _two.Runs[0].Request.SoFar!.PromptDelivered);
        _two.Runs[0].Finish();
        await reading.Soon();
    }

    [Fact]
    public async Task Replicas_that_refuse_are_followed_by_the_others_for_all_sequences_of_a_request()
    {
        _one.OnRun = run => run.Send(new SequenceEvent.Refused("full", Refusal.QueueFull));
        _two.OnRun = run => run.Finish();
        var streams = _router.GenerateTogether([Request(4), Request(4)]);
        var answers = await Task.WhenAll(streams.Select(stream => stream.ToListAsync().AsTask())).Soon();
        Assert.All(answers, events => Assert.Equal(FakeModel.Continue(Prompt, 4), Tokens(events)));
        Assert.Equal((2, 2), (_one.Runs.Count, _two.Runs.Count));

        _two.OnRun = run => run.Send(new SequenceEvent.Refused("full too", Refusal.QueueFull));
        Assert.Equal([new SequenceEvent.Refused("full too", Refusal.QueueFull)], await ReadAsync(Request(4)).Soon());
    }

    [Fact]
    public async Task A_sequence_that_was_left_runs_for_nobody_on_the_replica_that_follows()
    {
        using var leaving = new CancellationTokenSource();
        var streams = _router.GenerateTogether([Request(4), Request(4)]);
        var staying = streams[0].ToListAsync().AsTask();
        var left = streams[1].ToListAsync(leaving.Token).AsTask();
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left.Soon());
        _one.Runs[0].Send(new SequenceEvent.Refused("full", Refusal.QueueFull));
        await UntilAsync(() => _two.Runs.Count == 2 && _two.Runs[1].IsLeft);
        Assert.False(_two.Runs[0].IsLeft);
        _two.Runs[0].Finish();
        Assert.Equal(FakeModel.Continue(Prompt, 4), Tokens(await staying.Soon()));
    }

    [Fact]
    public async Task What_cannot_be_retried_is_told_and_not_tried_elsewhere()
    {
        var reading = ReadAsync(Request(4));
        _one.Runs[0].Send(new SequenceEvent.Failed("the sequence failed", Retryable: false));
        Assert.Equal([new SequenceEvent.Failed("the sequence failed", Retryable: false)], await reading.Soon());
        Assert.Empty(_two.Runs);
        var wrong = Assert.IsType<SequenceEvent.Failed>(
            Assert.Single(await ReadAsync(new SequenceRequest([4000], new SamplingOptions(), 4, new HashSet<int>())).Soon()));
        Assert.Contains("4000", wrong.Message);
    }

    [Fact]
    public async Task A_sequence_that_ends_one_replica_after_the_other_is_given_up()
    {
        _one.OnRun = _two.OnRun = run => run.Send(new SequenceEvent.Failed("lost", Retryable: true));
        Assert.Equal([new SequenceEvent.Failed("lost", Retryable: true)], await ReadAsync(Request(4)).Soon());
        Assert.Equal(5, _one.Runs.Count + _two.Runs.Count);
    }

    [Fact]
    public async Task With_no_other_replica_left_it_waits_for_one_for_a_limited_time()
    {
        var reading = ReadAsync(Request(4));
        _one.Runs[0].Begin();
        _one.Runs[0].Generate(1);
        _two.Lose();
        _two.Status = new EngineStatus(false, "gone", 1);
        _one.Lose();
        await UntilAsync(() => _one.Runs[0].IsLeft);
        _one.Lose(false);
        await PassUntilAsync(() => _one.Runs.Count == 2, TimeSpan.FromSeconds(0.1));
        _one.Runs[1].Finish();
        Assert.Equal(FakeModel.Continue(Prompt, 4), Tokens(await reading.Soon()));

        var givenUp = ReadAsync(Request(4));
        _one.Runs[2].Begin();
        _one.Lose();
        await PassUntilAsync(() => givenUp.IsCompleted, TimeSpan.FromSeconds(1));
        Assert.IsType<SequenceEvent.Failed>((await givenUp)[^1]);
    }

    [Fact]
    public async Task Cancelling_leaves_the_replica()
    {
        using var cancelled = new CancellationTokenSource();
        var reading = _router.GenerateAsync(Request(4), cancelled.Token).ToListAsync().AsTask();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.Soon());
        Assert.True(_one.Runs[0].IsLeft);
    }

    [Fact]
    public async Task A_turn_goes_where_its_session_was()
    {
        int[] prompt = [.. Enumerable.Range(3, 300)];
        _two.OnRun = run => run.Finish();
        await ReadAsync(new SequenceRequest(prompt, new SamplingOptions(), 2, new HashSet<int>()) { KvAt = new KvPlace("two", 250) }).Soon();
        Assert.Single(_two.Runs);
        // It is known by its tokens from now on.
        await ReadAsync(new SequenceRequest(prompt, new SamplingOptions(), 2, new HashSet<int>())).Soon();
        Assert.Equal(2, _two.Runs.Count);
        // Unless far more waits there.
        _two.Use = new ReplicaUse(0, 3, 64, 0, 0);
        _one.OnRun = run => run.Finish();
        await ReadAsync(new SequenceRequest(prompt, new SamplingOptions(), 2, new HashSet<int>())).Soon();
        Assert.Single(_one.Runs);
    }

    [Fact]
    public async Task Without_any_replica_requests_are_refused_with_the_own_ones_reason()
    {
        Assert.True(_router.Status is { Ready: false, TakesSequences: true });
        _one.Status = _two.Status = new EngineStatus(false, "gone", 0);
        Assert.False(_router.Status.TakesSequences);
        Assert.Equal([new SequenceEvent.Refused("the coordinator is starting", Refusal.NotReady)], await ReadAsync(Request(4)).Soon());
    }

    static SequenceRequest Request(int tokens, params int[] stops) => new(Prompt, new SamplingOptions(), tokens, stops.ToHashSet());

    Task<List<SequenceEvent>> ReadAsync(SequenceRequest request) => _router.GenerateAsync(request, CancellationToken.None).ToListAsync().AsTask();

    static IEnumerable<int> Tokens(IEnumerable<SequenceEvent> events) => events.OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id);

    static async Task UntilAsync(Func<bool> condition)
    {
        await Task.Yield();
        Assert.True(SpinWait.SpinUntil(condition, WaitExtensions.Deadline));
    }

    /// <summary>Lets time go by, a little each time that whoever waits for it has had a chance to.</summary>
    async Task PassUntilAsync(Func<bool> condition, TimeSpan step)
    {
        for (var steps = 0; steps < 500 && !SpinWait.SpinUntil(condition, TimeSpan.FromMilliseconds(20)); steps++)
        {
            _time.Advance(step);
            await Task.Yield();
        }
        Assert.True(condition());
    }

    sealed class Others(IReadOnlyList<IReplica> all) : IOtherReplicas
    {
        public IReadOnlyList<IReplica> All => all;
    }
}
