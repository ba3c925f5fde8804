using System.Threading.Channels;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Coordinator.Tests.Scheduling;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using static LlamaCluster.Protos.StepFailed.Types;

namespace LlamaCluster.Coordinator.Tests.Pipelines;

public sealed class GrpcPipelineTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(1, 1)]
    [InlineData(1, 1, 1, 1)]
    [InlineData(2)]
    [InlineData(2, 1, 3)]
    public async Task Steps_run_through_all_stages_until_every_sequence_has_finished(params int[] ranks)
    {
        await using var fixture = await PipelineFixture.WithRanksAsync(ranks);
        await using var pipeline = await fixture.OpenedAsync();
        int[] prompt = [.. Enumerable.Range(3, 40)];
        var sequences = Enumerable.Range(1, 6).Select(id => fixture.Add((ulong)id, prompt[id..], maxTokens: 20)).ToList();
        Queue<(Coordinator.Scheduling.ScheduledStep Step, Task<StepReturn> Return)> inFlight = new();
        while (true)
        {
            while (fixture.Scheduler.Schedule() is { } step) inFlight.Enqueue((step, pipeline.ExecuteAsync(step)));
            if (!inFlight.TryDequeue(out var oldest)) break;
            var completed = Assert.IsType<StepReturn.Completed>(await oldest.Return.Soon());
            fixture.Scheduler.Complete(oldest.Step, completed.Results);
        }
        Assert.All(sequences, sequence =>
            Assert.Equal(FakeModel.Continue(prompt[(int)sequence.Id..], 20), sequence.Tokens.Skip(sequence.Sequence.PromptLength)));
    }

    [Fact]
    public async Task Log_probabilities_of_prompt_and_answer_come_back()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(2);
        await using var pipeline = await fixture.OpenedAsync();
        fixture.Add(1, [10, 11, 12], sampling: new SamplingOptions { PromptLogprobs = true, TopLogprobs = 1 });
        var completed = Assert.IsType<StepReturn.Completed>(await pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!).Soon());
        var result = Assert.Single(completed.Results);
        Assert.Equal([11, 12], result.Prompt.Select(token => token.Id));
        var sampled = Assert.Single(result.Tokens);
        Assert.Equal((-0.5f, new TokenLogprob(4, -0.25f)), (sampled.Logprob, Assert.Single(sampled.Top)));
    }

    [Fact]
    public async Task A_step_that_a_worker_says_failed_ends_the_pipeline_and_names_the_worker()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(2);
        fixture.Workers[1].OnStep = (plan, _) => FakeWorker.Send(FakeStage.Failed(plan, Reason.Internal, "out of\nluck"));
        await AssertFailsAsync(fixture, lost: false, "worker worker1 (", "Internal: out of luck");
    }

    [Fact]
    public async Task A_result_of_another_rank_than_the_first_is_dropped()
    {
        await using var fixture = await PipelineFixture.WithRanksAsync(2);
        var answered = new TaskCompletionSource();
        fixture.Workers[0].OnStep = async (_, usual) =>
        {
            await answered.Task.Soon();
            return [usual];
        };
        fixture.Workers[1].OnStep = async (_, usual) =>
        {
            var wrong = new StepResult { ViewVersion = usual.Done.ViewVersion, StepId = usual.Done.StepId };
            answered.SetResult();
            return await FakeWorker.Send(new StepReply { Result = wrong }, usual);
        };
        await using var pipeline = await fixture.OpenedAsync();
        fixture.Add(1, [10, 11, 12]);
        var completed = Assert.IsType<StepReturn.Completed>(await pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!).Soon());
        Assert.Single(Assert.Single(completed.Results).Tokens);
    }

    [Fact]
    public async Task Another_view_is_no_answer_but_a_failure_where_the_worker_says_so()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(1);
        fixture.Workers[0].OnStep = (plan, _) => FakeWorker.Send(FakeStage.Failed(plan, Reason.StaleView, "this is view 6"));
        await AssertFailsAsync(fixture, lost: false, "worker worker0 (", "this is view 6");
    }

    [Fact]
    public async Task Replies_of_other_views_and_repeated_ones_are_dropped()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(1);
        fixture.Workers[0].OnStep = (_, usual) =>
        {
            var stale = usual.Clone();
            (stale.Result.ViewVersion, stale.Result.Sequences[0].Tokens[0].Id) = (PipelineFixture.View - 1, 299);
            return FakeWorker.Send(stale, usual, usual);
        };
        await using var pipeline = await fixture.OpenedAsync();
        var sequence = fixture.Add(1, [3], maxTokens: 3);
        while (fixture.Scheduler.Schedule() is { } step)
            fixture.Scheduler.Complete(step, Assert.IsType<StepReturn.Completed>(await pipeline.ExecuteAsync(step).Soon()).Results);
        Assert.Equal(FakeModel.Continue([3], 3), sequence.Tokens.Skip(1));
    }

    [Fact]
    public async Task A_worker_that_dies_fails_every_step_under_way()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(3);
        var reached = fixture.Workers[2].HoldSteps();
        await using var pipeline = await fixture.OpenedAsync();
        for (var id = 1; id <= 3; id++) fixture.Add((ulong)id, [.. Enumerable.Repeat(id, 40)]);
        var sent = Enumerable.Range(0, 3).Select(_ => fixture.Scheduler.Schedule()!).ToList();
        var steps = sent.Select(pipeline.ExecuteAsync).ToList();
        await reached.Reached;
        await fixture.Workers[2].DieAsync();
        foreach (var step in steps)
        {
            var failure = Assert.IsType<StepReturn.Lost>(await step.Soon()).Failure;
            Assert.True(failure.WorkerLost);
            Assert.Contains($"worker worker2 ({fixture.Workers[2].Address.ToString().TrimEnd('/')}) was lost", failure.Message);
            Assert.Same(sent[0], pipeline.NotDoneBy(failure.Worker));
        }
        reached.Go();
    }

    [Fact]
    public async Task A_worker_that_ends_its_stream_has_failed()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(1);
        fixture.Workers[0].OnStep = (_, _) => throw new Grpc.Core.RpcException(new Grpc.Core.Status(Grpc.Core.StatusCode.ResourceExhausted, "no memory"));
        await AssertFailsAsync(fixture, lost: false, "ResourceExhausted: no memory");
    }

    [Fact]
    public async Task A_sequence_that_failed_fails_alone()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(2);
        fixture.Workers[1].OnStep = (_, usual) =>
        {
            usual.Result.Sequences.RemoveAt(1);
            usual.Result.Failed.Add(new SequenceFailed { SequenceId = 2, Message = "logits are\nnot finite" });
            return FakeWorker.Send(usual);
        };
        await using var pipeline = await fixture.OpenedAsync();
        for (var id = 1; id <= 3; id++) fixture.Add((ulong)id, [id, 4, 5]);
        var results = Assert.IsType<StepReturn.Completed>(await pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!).Soon()).Results;
        Assert.Equal([null, "logits are not finite", null], results.Select(result => result.Failure));
        Assert.Equal([1, 0, 1], results.Select(result => result.Tokens.Count));
    }

    [Fact]
    public async Task Every_stage_is_told_the_request_id_and_the_trace()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(3);
        var told = Channel.CreateUnbounded<(string, string)>();
        foreach (var worker in fixture.Workers)
            worker.OnStep = (plan, usual) =>
            {
                foreach (var facts in plan.NewSequences) told.Writer.TryWrite((facts.RequestId, facts.TraceParent));
                return FakeWorker.Send(usual);
            };
        await using var pipeline = await fixture.OpenedAsync();
        const string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        fixture.Scheduler.Add(TestSequence.Of(1, TestCluster.Request([3]) with { RequestId = "req_7", TraceParent = trace }));
        await pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!).Soon();
        // The last stage's answer ends the step; the fake stages before it may still be about to read theirs.
        for (var stage = 0; stage < 3; stage++) Assert.Equal(("req_7", trace), await told.Reader.ReadAsync().AsTask().Soon());
    }

    [Fact]
    public async Task Who_says_that_another_is_gone_is_not_blamed_if_that_other_is_seen_to_be_gone()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(2);
        var told = new SyncPoint();
        fixture.Workers[0].OnStep = (plan, _) => FakeWorker.Send(FakeStage.Failed(plan, Reason.PeerLost, "no way to stage 1"));
        fixture.Workers[1].OnStep = async (_, _) =>
        {
            await told.PassAsync();
            return [];
        };
        await using var pipeline = await fixture.OpenedAsync();
        fixture.Add(1, [3]);
        var step = pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!);
        await told.Reached;
        await fixture.Workers[1].DieAsync();
        told.Go();
        Assert.Contains("worker worker1 (", Assert.IsType<StepReturn.Lost>(await step.Soon()).Failure.Message);
    }

    [Fact]
    public async Task Who_says_that_another_is_gone_is_believed_after_a_moment()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(2);
        fixture.Workers[0].OnStep = (plan, _) => FakeWorker.Send(FakeStage.Failed(plan, Reason.PeerLost, "no way to stage 1"));
        fixture.Workers[1].OnStep = (_, _) => FakeWorker.Send();
        await using var pipeline = await fixture.OpenedAsync();
        fixture.Add(1, [3]);
        var step = pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!);
        await fixture.Time.TimersSetAsync(3).Soon();   // the pulse, the step's deadline, and the moment for the other to be seen gone
        fixture.Time.Advance(fixture.Deadlines.Blame);
        Assert.Contains("worker worker0 (", Assert.IsType<StepReturn.Lost>(await step.Soon()).Failure.Message);
    }

    [Theory]
    [InlineData("id")]
    [InlineData("missing")]
    [InlineData("surplus")]
    [InlineData("too many")]
    [InlineData("top")]
    [InlineData("early")]
    [InlineData("other failed")]
    [InlineData("failed and answered")]
    public async Task A_result_that_does_not_answer_the_step_is_a_failure(string how)
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(1);
        fixture.Workers[0].OnStep = (_, usual) =>
        {
            var sequences = usual.Result.Sequences;
            switch (how)
            {
                case "id": sequences[0].Tokens[0].Id = 300; break;
                case "missing": sequences.RemoveAt(0); break;
                case "surplus": sequences.Add(sequences[0].Clone()); break;
                case "too many": sequences[0].Tokens.Add(sequences[0].Tokens[0].Clone()); break;
                case "top": sequences[0].Tokens[0].TopIds.Add(1); break;
                case "early": usual.Result.StepId++; break;
                case "other failed": usual.Result.Failed.Add(new SequenceFailed { SequenceId = 77 }); break;
                case "failed and answered": usual.Result.Failed.Add(new SequenceFailed { SequenceId = 1 }); break;
            }
            return FakeWorker.Send(usual);
        };
        await AssertFailsAsync(fixture, lost: false, "worker worker0 (");
    }

    [Fact]
    public async Task After_the_end_every_step_returns_at_once()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(1);
        var pipeline = await fixture.OpenedAsync();
        await pipeline.DisposeAsync();
        fixture.Add(1, [3]);
        Assert.IsType<StepReturn.Lost>(await pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!).Soon());
        Assert.Equal($"view {PipelineFixture.View} was closed", (await pipeline.Lost.Soon()).Message);
    }

    [Fact]
    public async Task The_handshake_checks_stage_and_view()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(2);
        fixture.Workers[1].OnOpen = open => new StepReply { Opened = new StepsOpened { ViewVersion = open.ViewVersion, Stage = 0 } };
        Assert.Contains("worker worker1 (", (await fixture.FailedAsync()).Message);
    }

    [Fact]
    public async Task The_handshake_carries_the_workers_own_words()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(2);
        fixture.Workers[0].OnOpen = _ => new StepReply { Failed = new StepFailed { Reason = Reason.StaleView, Message = "no shard is loaded" } };
        Assert.Contains("no shard is loaded", (await fixture.FailedAsync()).Message);
    }

    [Fact]
    public async Task A_worker_that_cannot_be_reached_is_lost()
    {
        await using var fixture = await PipelineFixture.WithWorkersAsync(2);
        await fixture.Workers[1].DieAsync();
        var failure = await fixture.FailedAsync();
        Assert.True(failure.WorkerLost);
        Assert.Contains("worker worker1 (", failure.Message);
    }

    static async Task AssertFailsAsync(PipelineFixture fixture, bool lost, params string[] messages)
    {
        await using var pipeline = await fixture.OpenedAsync();
        fixture.Add(1, [3, 4, 5]);
        var failure = Assert.IsType<StepReturn.Lost>(await pipeline.ExecuteAsync(fixture.Scheduler.Schedule()!).Soon()).Failure;
        Assert.Equal(lost, failure.WorkerLost);
        Assert.All(messages, message => Assert.Contains(message, failure.Message));
        Assert.DoesNotContain('\n', failure.Message);
        Assert.Same(failure, await pipeline.Lost.Soon());
    }
}
