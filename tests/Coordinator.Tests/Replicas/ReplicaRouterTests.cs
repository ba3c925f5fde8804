using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Api;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Replicas;

public sealed class ReplicaRouterTests
{
    static readonly int[] Prompt = [5, 6, 7];

    [Fact]
    public async Task A_sequence_ends_at_its_limit_or_at_a_stop_id_which_is_its_last_token()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        var all = FakeModel.Continue(Prompt, 10);
        var limited = await cluster.GenerateAsync(TestCluster.Request(Prompt, 4)).Soon();
        Assert.Equal(new SequenceEvent.Finished(FinishReason.Length), limited[^1]);
        Assert.Equal(all[..4], limited.OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id));
        var stopped = await cluster.GenerateAsync(TestCluster.Request(Prompt, 10, all[6])).Soon();
        Assert.Equal(new SequenceEvent.Finished(FinishReason.Stop), stopped[^1]);
        Assert.Equal(all[..7], stopped.OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id));
    }

    [Fact]
    public async Task Thirty_two_sequences_at_once_get_what_each_would_get_alone()
    {
        await using var cluster = await TestCluster.StartReadyAsync(3);
        int[][] prompts = [.. Enumerable.Range(0, 32).Select(i => Enumerable.Range(3 + i, 1 + i * 9).Select(id => 3 + id % 250).ToArray())];
        var answers = await Task.WhenAll(prompts.Select(prompt => cluster.TokensAsync(TestCluster.Request(prompt, 60)))).Soon();
        Assert.All(prompts.Zip(answers), pair => Assert.Equal(FakeModel.Continue(pair.First, 60), pair.Second));
        await AssertAllFreeAsync(cluster);
    }

    [Fact]
    public async Task So_they_do_when_the_kv_cache_is_far_too_small_for_all()
    {
        // 16 blocks; each sequence comes to need 6.
        await using var cluster = await TestCluster.StartReadyAsync(
            2, TestCluster.Options with { Engine = new EngineOptions { KvTokens = 256, MaxPromptRows = 16 } });
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => cluster.TokensAsync(TestCluster.Request([.. Prompt, 5 + i], 85)))).Soon();
        for (var i = 0; i < answers.Length; i++) Assert.Equal(FakeModel.Continue([.. Prompt, 5 + i], 85), answers[i]);
        await AssertAllFreeAsync(cluster);
    }

    [Fact]
    public async Task Prompt_log_probabilities_come_before_the_first_token()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1, TestCluster.Options with { Engine = new EngineOptions { MaxPromptRows = 40 } });
        int[] prompt = [.. Enumerable.Range(3, 100)];
        var request = TestCluster.Request(prompt, 1) with { Sampling = new SamplingOptions { PromptLogprobs = true, TopLogprobs = 0 } };
        var events = await cluster.GenerateAsync(request).Soon();
        Assert.Equal(
            prompt[1..],
            events.Skip(1).TakeWhile(next => next is SequenceEvent.Prompt)
                .SelectMany(next => ((SequenceEvent.Prompt)next).Tokens).Select(token => token.Id));
        Assert.Equal(2, events.Skip(1).SkipWhile(next => next is SequenceEvent.Prompt).Count());
    }

    [Fact]
    public async Task No_tokens_asked_for_runs_the_prompt_only()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        var events = await cluster.GenerateAsync(TestCluster.Request(Prompt, 0)).Soon();
        Assert.Equal(0, Assert.IsType<SequenceEvent.Begun>(events[0]).CachedTokens);
        Assert.Equal(FinishReason.Length, Assert.IsType<SequenceEvent.Finished>(events[1]).Reason);
        Assert.Equal(2, events.Count);
    }

    [Fact]
    public async Task Cancelling_frees_the_blocks_and_tells_the_workers()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        using var cancelled = new CancellationTokenSource();
        var begun = cluster.Workers[1].HoldSteps();
        var running = cluster.GenerateAsync(TestCluster.Request(Prompt, 500), cancelled.Token);
        await begun.Reached;
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running.Soon());
        begun.Go();
        await AssertAllFreeAsync(cluster);
    }

    [Fact]
    public async Task A_client_that_hangs_up_frees_them_too()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = ApiHost.JsonContent("""{"prompt":[5,6,7],"max_tokens":400,"stream":true,"ignore_eos":true}"""),
        };
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.True(response.IsSuccessStatusCode);
        var held = cluster.Workers[1].HoldSteps();
        await held.Reached;
        response.Dispose();
        // While a step with it is under way everywhere, the sequence is gone where no step is.
        await cluster.Workers[0].Stage!.EmptyAsync().Soon("the first stage has forgotten the sequence");
        held.Go();
        await AssertAllFreeAsync(cluster);
    }

    [Fact]
    public async Task A_reader_that_stops_reading_and_leaves_frees_them_too()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        await foreach (var _ in cluster.Engine.GenerateAsync(TestCluster.Request(Prompt, 500), CancellationToken.None))
            break;
        await AssertAllFreeAsync(cluster);
    }

    [Fact]
    public async Task A_slow_reader_holds_nobody_up()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        await using var slow = cluster.Engine.GenerateAsync(TestCluster.Request(Prompt, 400), CancellationToken.None).GetAsyncEnumerator();
        for (var i = 0; i < 2; i++) Assert.True(await slow.MoveNextAsync().AsTask().Soon());
        for (var i = 0; i < 3; i++) Assert.Equal(FakeModel.Continue([9, i + 3], 400), await cluster.TokensAsync(TestCluster.Request([9, i + 3], 400)));
        await AssertAllFreeAsync(cluster);   // the slow one's sequence has long finished
        List<int> tokens = [((SequenceEvent.Token)slow.Current).Sampled.Id];
        while (await slow.MoveNextAsync().AsTask().Soon())
            if (slow.Current is SequenceEvent.Token token) tokens.Add(token.Sampled.Id);
        Assert.Equal(FakeModel.Continue(Prompt, 400), tokens);
    }

    [Fact]
    public async Task A_full_queue_refuses_for_the_moment()
    {
        await using var cluster = await TestCluster.StartReadyAsync(
            1, TestCluster.Options with { Engine = new EngineOptions { MaxRunning = 1, MaxWaiting = 1 } });
        var begun = cluster.Workers[0].HoldSteps();
        var first = cluster.TokensAsync(TestCluster.Request(Prompt));
        await begun.Reached;
        var second = cluster.TokensAsync(TestCluster.Request(Prompt));
        var third = Assert.IsType<SequenceEvent.Refused>(Assert.Single(await cluster.GenerateAsync(TestCluster.Request(Prompt)).Soon()));
        Assert.Equal((Refusal.QueueFull, "1 sequences run and 1 wait already; send the request again later"), (third.Why, third.Message));
        begun.Go();
        Assert.Equal(await first, await second);
    }

    [Fact]
    public async Task What_can_never_fit_the_cluster_is_refused_for_good()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { Workers = 1 });
        await cluster.JoinAsync(worker => worker.KvBlocks = 4);
        await cluster.ReadyAsync();
        var refused = Assert.IsType<SequenceEvent.Refused>(Assert.Single(await cluster.GenerateAsync(TestCluster.Request(Prompt, 63)).Soon()));
        Assert.Equal(Refusal.TooLarge, refused.Why);
        Assert.Contains("65 positions", refused.Message);
        Assert.Contains("64", refused.Message);
        Assert.Equal(62, (await cluster.TokensAsync(TestCluster.Request(Prompt, 62))).Length);
    }

    [Fact]
    public async Task A_request_that_workers_would_not_take_never_reaches_them()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        var failed = Assert.IsType<SequenceEvent.Failed>(Assert.Single(await cluster.GenerateAsync(TestCluster.Request([2048])).Soon()));
        Assert.Equal(("the prompt has token id 2048, not 0 to 2047", false), (failed.Message, failed.Retryable));
    }

    [Fact]
    public async Task A_mix_of_everything_in_a_tiny_cache_gives_each_its_due_and_leaves_nothing_behind()
    {
        await using var cluster = await TestCluster.StartReadyAsync(
            3, TestCluster.Options with { Engine = new EngineOptions { KvTokens = 320, MaxPromptRows = 24, MaxWaiting = 1000 } });
        var random = new Random(20251122);
        await Task.WhenAll(Enumerable.Range(0, 300).Select(_ =>
        {
            int[] prompt = [.. Enumerable.Range(0, random.Next(1, 150)).Select(_ => random.Next(3, 250))];
            var (maxTokens, leavesAfter) = (random.Next(0, 120), random.Next(4) == 0 ? random.Next(20) : int.MaxValue);
            var answer = FakeModel.Continue(prompt, maxTokens);
            var stop = random.Next(3) == 0 && maxTokens > 0 ? answer[random.Next(maxTokens)] : -1;
            return RunAsync(
                TestCluster.Request(prompt, maxTokens, stop),
                Array.IndexOf(answer, stop) is >= 0 and var end ? answer[..(end + 1)] : answer,
                leavesAfter);
        })).Soon();
        await AssertAllFreeAsync(cluster);

        async Task RunAsync(SequenceRequest request, int[] expected, int leavesAfter)
        {
            List<int> tokens = [];
            await foreach (var next in cluster.Engine.GenerateAsync(request, CancellationToken.None))
            {
                Assert.IsNotType<SequenceEvent.Failed>(next);
                if (next is SequenceEvent.Token token) tokens.Add(token.Sampled.Id);
                if (tokens.Count > leavesAfter) break;
            }
            Assert.Equal(expected[..Math.Min(expected.Length, leavesAfter == int.MaxValue ? expected.Length : leavesAfter + 1)], tokens);
        }
    }

    [Fact]
    public async Task Sequences_that_are_asked_for_together_get_what_each_would_get_alone()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        var streams = cluster.Engine.GenerateTogether([.. Enumerable.Range(0, 4).Select(_ => TestCluster.Request(Prompt, 30))]);
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => { await foreach (var _ in streams[0].WithCancellation(cancelled.Token)) { } });
        var answers = await Task.WhenAll(streams.Skip(1).Select(stream => stream.ToListAsync().AsTask())).Soon();
        Assert.All(answers, events => Assert.Equal(FakeModel.Continue(Prompt, 30), events.OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id)));
        await AssertAllFreeAsync(cluster);
    }

    [Fact]
    public async Task One_that_workers_would_not_take_keeps_all_out_that_come_with_it()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        foreach (var stream in cluster.Engine.GenerateTogether([TestCluster.Request(Prompt), TestCluster.Request([2048])]))
            Assert.IsType<SequenceEvent.Failed>(Assert.Single(await stream.ToListAsync().AsTask().Soon()));
    }

    [Fact]
    public async Task A_cluster_with_less_kv_than_one_context_takes_a_request_that_names_no_limit()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { Workers = 1 });
        await cluster.JoinAsync(worker => worker.KvBlocks = 4);
        await cluster.ReadyAsync();
        Assert.Equal(64, cluster.Engine.Status.MaxPositions);
        Assert.Equal(62, (await cluster.TokensAsync(TestCluster.Request(Prompt, 509) with { MaxTokensIsDefault = true })).Length);
    }

    [Fact]
    public async Task A_sequence_that_a_worker_cannot_go_on_with_fails_alone()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        cluster.Workers[1].OnStep = (plan, usual) =>
        {
            foreach (var chunk in plan.Chunks.Where(chunk => chunk.Tokens.Contains(77)))
            {
                usual.Result.Failed.Add(new Protos.SequenceFailed { SequenceId = chunk.SequenceId, Message = "row 0 is not finite" });
                usual.Result.Sequences.Remove(usual.Result.Sequences.First(result => result.SequenceId == chunk.SequenceId));
            }
            return FakeWorker.Send(usual);
        };
        var good = Enumerable.Range(0, 4).Select(i => cluster.TokensAsync(TestCluster.Request([5, 6 + i], 3))).ToList();
        var bad = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => cluster.GenerateAsync(TestCluster.Request([5, 77], 40)))).Soon();
        Assert.All(bad, events => Assert.Equal([new SequenceEvent.Failed("the sequence failed: row 0 is not finite", Retryable: false)], events));
        for (var i = 0; i < good.Count; i++) Assert.Equal(FakeModel.Continue([5, 6 + i], 3), await good[i]);
        Assert.True(cluster.Engine.Status is { Ready: true, ViewVersion: 1 });
        await AssertAllFreeAsync(cluster);
    }

    /// <summary>No worker keeps anything of any sequence, as soon as the last message about it is through.</summary>
    static async Task AssertAllFreeAsync(TestCluster cluster)
    {
        foreach (var worker in cluster.Workers) await worker.Stage!.EmptyAsync().Soon($"{worker.Name} has forgotten all sequences");
    }
}
