using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.DependencyInjection;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Loading;

/// <summary>
/// What workers say of the KV that they have when they are assigned again, and that they go on with it. Two stages of four layers each; the demo model.
/// </summary>
public sealed class KeptKvTests : IAsyncLifetime
{
    ServedDemo _demo = null!;

    public async Task InitializeAsync() => _demo = await ServedDemo.StartAsync(3);

    public async Task DisposeAsync() => await _demo.DisposeAsync();

    [Fact]
    public async Task A_stage_that_stays_says_what_it_ran()
    {
        var undisturbed = await _demo.ServeAsync();
        var kept = await AssignAsync(1, PlanOf(2, 2, 1));
        Assert.Equal((4u, 4u), LayersOf(kept!));
        Assert.Equal([new Wire.RanView { ViewVersion = 1, LastStep = 2 }], kept!.Views);
        Assert.Equal(new byte[] { 0b11, 0, 0, 0, 0, 0, 0, 0 }, kept!.Layers[0].Whole.ToByteArray());   // the third block has 8 of the prompt's positions
        Assert.NotEqual(0, undisturbed.Id);
    }

    /// <summary>Another worker takes the first stage's place: it is filled there, and the second stage is not run for it.</summary>
    [Fact]
    public async Task The_other_stage_alone_is_filled()
    {
        var undisturbed = await _demo.ServeAsync();
        var plan = PlanOf(2, 2, 1);
        Assert.Null(await AssignAsync(2, plan));
        Assert.NotNull(await AssignAsync(1, plan));
        await using var pipeline = await TestPipeline.OpenAsync([_demo[2], _demo[1]], plan);

        var fill = pipeline.Step(1, 0, ServedDemo.Prompt[..32]);
        (fill.Chunks[0].SampleCount, fill.Chunks[0].Depth) = (0, 4);
        await pipeline.SendAsync(0, new Wire.StepRequest { Step = fill });
        Assert.Equal(1UL, (await pipeline.ReplyAsync(0)).Done?.StepId);

        var rest = pipeline.Step(2, 32, ServedDemo.Prompt[32..]);
        await pipeline.SendAsync(0, new Wire.StepRequest { Step = rest });
        var last = rest.Clone();
        last.NewSequences.Add(new Wire.SequenceFacts { SequenceId = 1, PromptLength = 40, Sampling = TestPipeline.Greedy });
        last.Chunks[0].NewBlocks.Add(Enumerable.Range(0, 8));
        await pipeline.SendAsync(1, new Wire.StepRequest { Step = last });
        Assert.Equal(2UL, (await pipeline.ReplyAsync(0)).Done?.StepId);
        var result = await pipeline.ReplyAsync(1);
        Assert.Equal(undisturbed, Assert.Single(Assert.Single(result.Result!.Sequences).Tokens));
    }

    [Fact]
    public async Task Layers_that_move_are_kept_where_both_views_have_them()
    {
        await _demo.ServeAsync();
        var kept = await AssignAsync(1, _demo.Plan(2, (2, 6), (1, 2)));
        Assert.Equal((6u, 2u), LayersOf(kept!));
    }

    [Fact]
    public async Task Views_in_which_nothing_ran_take_nothing_away()
    {
        await _demo.ServeAsync();
        var plan = PlanOf(2, 0, 1);
        await AssignAsync(0, plan);
        await AssignAsync(1, plan);
        await (await TestPipeline.OpenAsync([_demo[0], _demo[1]], plan)).DisposeAsync();
        var kept = await AssignAsync(1, PlanOf(3, 2, 1));
        Assert.Equal([(1UL, 2UL), (2UL, 0UL)], kept!.Views.Select(view => (view.ViewVersion, view.LastStep)));
        Assert.Equal(0b11, kept.Layers[0].Whole[0]);
    }

    [Fact]
    public async Task Fewer_blocks_are_the_first_ones()
    {
        await _demo.ServeAsync();
        Assert.Equal(new byte[] { 1 }, (await AssignAsync(1, PlanOf(2, 2, 1), request => request.KvBlockCount = 1))!.Layers[0].Whole.ToByteArray());
    }

    public static TheoryData<string, Action<Wire.AssignRequest>> Others => new()
    {
        { "another KV type", request => request.KvType = Wire.KvType.F16 },
        { "activations that are rounded", request => request.ActivationType = Wire.ActivationType.Bf16 },
    };

    [Theory]
    [MemberData(nameof(Others))]
    public async Task Other_numbers_are_not_kept(string what, Action<Wire.AssignRequest> change)
    {
        await _demo.ServeAsync();
        Assert.True(await AssignAsync(1, PlanOf(2, 2, 1), change) is null, what);
    }

    [Fact]
    public async Task Layers_that_both_views_do_not_have_are_not_kept()
    {
        await _demo.ServeAsync();
        Assert.Null(await AssignAsync(1, PlanOf(2, 1, 2)));
    }

    [Fact]
    public async Task Who_prepared_a_shard_meanwhile_has_nothing()
    {
        await _demo.ServeAsync();
        using (var call = _demo[1].Assignments.Prepare(TestPipeline.Assignment(PlanOf(2, 0, 1), 1, ServedDemo.Path), deadline: Deadline.Call))
            while (await call.ResponseStream.MoveNext(CancellationToken.None)) { }
        Assert.Null(await AssignAsync(1, PlanOf(2, 0, 1)));
    }

    /// <summary>Another cluster's views have the same numbers.</summary>
    [Fact]
    public async Task Who_went_to_another_cluster_has_nothing()
    {
        await _demo.ServeAsync();
        _demo[1].Host.Services.GetRequiredService<ShardKeeper>().ForgetViews();
        Assert.Null(await AssignAsync(1, PlanOf(1, 0, 1)));
        Assert.Null(await AssignAsync(1, PlanOf(2, 0, 1)));
    }

    static (uint First, uint Count) LayersOf(Wire.KeptKv kept) => (Assert.Single(kept.Layers).FirstLayer, kept.Layers[0].LayerCount);

    ClusterPlan PlanOf(ulong view, params int[] workers) => _demo.Plan(view, [.. workers.Select(worker => (worker, 4))]);

    async Task<Wire.KeptKv?> AssignAsync(int worker, ClusterPlan plan, Action<Wire.AssignRequest>? change = null)
    {
        var stage = plan.Assignments.Index().First(part => part.Item.Worker.Value == $"w{worker}").Index;
        return (await TestPipeline.AssignAsync(_demo[worker], plan, stage, ServedDemo.Path, change))[^1].Kept;
    }
}
