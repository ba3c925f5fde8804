using System.Text.Json.Nodes;
using LlamaCluster.Integration.Tests.Up;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// A worker of three stages is killed in the middle of a long stream, and a spare takes its place. The stream goes on with the very bits that it would have
/// had, and what each stage computes shows that those behind the lost one went on with the KV that they had.
/// </summary>
public sealed class KeptKvTests(ITestOutputHelper output)
{
    const int Stages = 3;
    const int Kill = 20;       // events before it
    const int MaxTokens = 380;
    const int MostAgain = 64;  // positions: what does not fill a block, and the steps that were under way
    const int MostInBlock = 16 + 3;   // what does not fill a block, and is under way in some of the stages

    static readonly string Body = new JsonObject
    {
        ["prompt"] = string.Join(' ', Enumerable.Repeat("Keys and values are kept by those who are left.", 7)),
        ["max_tokens"] = MaxTokens,
        ["temperature"] = 0.9,   // nothing is guessed, so that positions can be counted
        ["seed"] = 7,
        ["logprobs"] = 2,
        ["ignore_eos"] = true,
        ["stream"] = true,
    }.ToJsonString();

    /// <param name="first">The first stage that computes again what the stream had.</param>
    /// <param name="end">The stage after the last that does.</param>
    [Theory]
    [InlineData(0, 0, 1, false)]
    [InlineData(1, 0, 2, false)]
    [InlineData(2, 0, 3, false)]
    [InlineData(2, 2, 3, true)]
    public async Task Stages_behind_the_one_that_was_lost_compute_nothing_again_and_with_journals_those_before_do_not_either(
        int lost, int first, int end, bool hasJournals)
    {
        await using var cluster = await ChaosCluster.StartAsync(Stages + 1, Stages, ranks: 1, hasJournals: hasJournals);
        await cluster.WaitAsync(status => status.IsReady && status.Workers is { Serving: Stages, Spare: 1 }, "three stages and a spare");
        using var levels = new KvLevels(cluster.Host.Meters);
        var (undisturbed, usual) = await RunAsync(cluster, levels, lost: null);

        long Positions(string how) => levels.Total("llamacluster.recovery.positions", $"how {how}");

        // Another salt: nothing is found of the first run.
        var (disturbed, rows) = await RunAsync(cluster, levels, lost, usual);

        output.WriteLine($"stage {lost} lost: positions computed {string.Join(", ", rows)}, undisturbed {string.Join(", ", usual)}; "
            + $"kept {Positions("kept")}, filled {Positions("filled")}, "
            + $"computed {Positions("computed")}");
        Assert.Equal(undisturbed, disturbed);
        var known = Positions("kept") + Positions("filled") + Positions("computed");
        Assert.InRange(known, usual[0] - MaxTokens + Kill, usual[0]);
        for (var stage = 0; stage < Stages; stage++)
            if (stage >= first && stage < end) Assert.InRange(rows[stage], usual[stage] + known - MostAgain, usual[stage] + known + MostAgain);
            else Assert.InRange(rows[stage], usual[stage] - MostAgain, usual[stage] + MostAgain);
        if (end - first < Stages) Assert.InRange(Positions("filled"), known - MostAgain, known + MostAgain);
        else Assert.Equal(0, Positions("filled"));
    }

    /// <summary>A spare takes the place of a worker that leaves, and gets its KV: nobody computes anything again but what does not fill a block.</summary>
    [Fact]
    public async Task A_worker_that_leaves_hands_over_what_it_has()
    {
        const int leaving = Stages - 1;   // without its KV, everything would be computed again
        await using var cluster = await ChaosCluster.StartAsync(Stages + 1, Stages, ranks: 1);
        await cluster.WaitAsync(status => status.IsReady && status.Workers is { Serving: Stages, Spare: 1 }, "three stages and a spare");
        using var levels = new KvLevels(cluster.Host.Meters);
        var (undisturbed, usual) = await RunAsync(cluster, levels, lost: null);
        var (disturbed, rows) = await RunAsync(cluster, levels, leaving, usual, leaves: true);

        var (blocks, missing) =
            (levels.Total("llamacluster.recovery.kv.blocks", "result moved"), levels.Total("llamacluster.recovery.kv.blocks", "result missing"));
        var counts = new[] { "kept", "filled", "computed" }.Select(how => levels.Total("llamacluster.recovery.positions", $"how {how}")).ToList();
        output.WriteLine($"stage {leaving} left: positions computed {string.Join(", ", rows)}, undisturbed {string.Join(", ", usual)}; "
            + $"kept, filled, computed {string.Join(", ", counts)}; {blocks} blocks moved, {missing} missing");
        Assert.Equal(undisturbed, disturbed);
        for (var stage = 0; stage < Stages; stage++) Assert.InRange(rows[stage], usual[stage], usual[stage] + MostInBlock);
        Assert.InRange(counts[0], usual[0] - MaxTokens + Kill - MostInBlock, usual[0]);
        Assert.Equal((0, 0), (counts[1], missing));
        Assert.InRange(blocks, counts[0] / 16, long.MaxValue);
    }

    /// <summary>Nobody is spare: layers move among those that are left.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Survivors_go_on_with_the_same_bits(int lost)
    {
        await using var cluster = await ChaosCluster.StartAsync(Stages, Stages, ranks: 1);
        using var levels = new KvLevels(cluster.Host.Meters);
        var (undisturbed, _) = await RunAsync(cluster, levels, lost: null);
        var (disturbed, rows) = await RunAsync(cluster, levels, lost);
        var counts = new[] { "kept", "filled", "computed" }.Select(how => levels.Total("llamacluster.recovery.positions", $"how {how}")).ToList();
        output.WriteLine($"stage {lost} lost: positions computed {string.Join(", ", rows)}; kept, filled, computed {string.Join(", ", counts)}");
        Assert.Equal(undisturbed, disturbed);
        Assert.InRange(counts.Sum(), Kill, long.MaxValue);   // the stream was not over when the worker was killed
    }

    /// <param name="usual">What each stage computes of an undisturbed run, at least. Null: it is not known.</param>
    static async Task<(string Answer, long[] Rows)> RunAsync(ChaosCluster cluster, KvLevels levels, int? lost, long[]? usual = null, bool leaves = false)
    {
        var before = RowsOf(levels);
        var body = JsonNode.Parse(Body)!;
        body["cache_salt"] = $"lost {lost}";   // nothing is found of the first run
        using var stream = await EventStream.OpenAsync(cluster.Http, body.ToJsonString());
        await stream.ReadAsync(Kill);
        var name = lost is { } stage ? cluster.Host.Status.Value.Shards[stage].WorkerName : "";
        var gone = name.Length == 0 ? Task.CompletedTask : leaves ? cluster.LeaveAsync(name) : cluster.KillAsync(name);
        if (!leaves) await gone;
        var answer = Assert.Single(await stream.RestAsync());
        await gone;
        long[] Rows() => [.. RowsOf(levels).Zip(before, (now, then) => now - then)];
        // The last stage's answer ends a stream; what other stages say of the last step may come a moment later.
        SpinWait.SpinUntil(
            () => usual is null ? lost is not null || Rows().Distinct().Count() == 1 : Rows().Zip(usual).All(stage => stage.First >= stage.Second),
            CliProcess.Deadline);
        return (answer, Rows());
    }

    static long[] RowsOf(KvLevels levels) => [.. Enumerable.Range(0, Stages).Select(stage => levels.Total("llamacluster.stage.rows", $"stage {stage}"))];
}
