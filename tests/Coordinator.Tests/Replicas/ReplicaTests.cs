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
    Task _running = null!;

    public Task InitializeAsync()
    {
        var metrics = new CoordinatorMetrics(_services.GetRequiredService<IMeterFactory>());
        _replica = new Replica("replica-0", new EngineOptions(), new ModelIdentity("model", "digest"), metrics, _time, NullLogger<Replica>.Instance);
        _running = _replica.RunAsync(_stop.Token);
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

    SequenceStream Submit(SequenceRequest request) => Assert.Single(_replica.Submit([request]));
}
