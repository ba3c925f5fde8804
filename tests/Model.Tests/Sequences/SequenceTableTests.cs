using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Tests.Inference;
using LlamaCluster.Primitives;
using static LlamaCluster.Model.Tests.Inference.TestStage;

namespace LlamaCluster.Model.Tests.Sequences;

/// <summary>Steps that contradict what a stage knows are refused as values, and leave no trace: the right step still runs after them.</summary>
public sealed class SequenceTableTests
{
    static readonly int[] Four = [1, 2, 3, 4];

    [Theory]
    [InlineData(-1, 4, "sequence 7 goes on at position -1; the first is 0")]
    [InlineData(int.MaxValue, 4, "sequence 7 would have 2147483651 positions; this stage has room for 100")]
    [InlineData(97, 4, "sequence 7 would have 101 positions; this stage has room for 100")]
    [InlineData(16, 4, "sequence 7 has 1 blocks; positions up to 19 need 2")]
    [InlineData(0, 3, "sequence 7 has 4 tokens for 3 positions")]
    [InlineData(0, 5, "sequence 7 has 4 tokens for 5 positions")]
    [InlineData(0, 0, "sequence 7 has a chunk of 0 positions")]
    [InlineData(0, -3, "sequence 7 has a chunk of -3 positions")]
    [InlineData(0, 41, "the step has 41 rows; this stage takes 40")]
    public void A_first_chunk_out_of_range(int start, int count, string reason) =>
        CheckRefused(reason, StepOf(Facts(7), new Chunk(7, start, count, Four, new[] { 3 }, 0)));

    [Theory]
    [InlineData(new[] { 16 }, "sequence 7 gets block 16; there are blocks 0 to 15")]
    [InlineData(new[] { -1 }, "sequence 7 gets block -1; there are blocks 0 to 15")]
    [InlineData(new[] { 3, 3 }, "sequence 7 gets block 3, which it has already")]
    [InlineData(new int[0], "sequence 7 has 0 blocks; positions up to 3 need 1")]
    [InlineData(new[] { 0, 1, 2, 3, 4, 5, 6, 7 }, "sequence 7 gets more blocks than a sequence of 100 positions has")]
    public void Blocks_out_of_range(int[] blocks, string reason) => CheckRefused(reason, StepOf(Facts(7), ChunkOf(7, 0, Four, blocks)));

    [Theory]
    [InlineData(-1, "sequence 7 is to be sampled at -1 of 4 positions")]
    [InlineData(5, "sequence 7 is to be sampled at 5 of 4 positions")]
    public void Samples_that_do_not_fit(int sampleCount, string reason) => CheckRefused(reason, StepOf(Facts(7), ChunkOf(7, 0, Four, [3], sampleCount)));

    [Theory]
    [InlineData(-1)]
    [InlineData(20)]
    public void Tokens_that_the_model_does_not_have(int token)
    {
        CheckRefused($"sequence 7 has token {token}; ids are from 0 to 19", StepOf(Facts(7), ChunkOf(7, 0, [1, token], [3])));
        CheckRefused(
            $"sequence 7: history has token {token}; ids are from 0 to 19",
            StepOf(Facts(7, new SamplingOptions { PresencePenalty = 1 }, history: [token]), ChunkOf(7, 1, [1], [3])));
    }

    [Fact]
    public void Sequences_that_are_unknown_known_twice_or_idle()
    {
        var chunk = ChunkOf(7, 0, Four, [3]);
        CheckRefused("the step has no chunks", new Step([Facts(7)], []));
        CheckRefused("sequence 7 is unknown", StepOf(null, chunk));
        CheckRefused("sequence 7 is introduced, but it is known already", new Step([Facts(7), Facts(7)], [chunk]));
        CheckRefused("sequence 7 has two chunks", new Step([Facts(7)], [chunk, ChunkOf(7, 4, Four, [])]));
        CheckRefused("sequence 8 is introduced, but has no chunk", new Step([Facts(7), Facts(8)], [chunk]));
        CheckRefused("sequence 7 has a prompt of 0 tokens", StepOf(Facts(7, promptLength: 0), chunk));

        using var stage = new TestStage();
        stage.Complete(StepOf(Facts(7), chunk));
        Assert.Equal("sequence 7 is introduced, but it is known already", stage.Refuse(StepOf(Facts(7), ChunkOf(7, 4, Four, []))));
        stage.Runner.End(7);
        Assert.Equal("sequence 7 is unknown", stage.Refuse(StepOf(null, ChunkOf(7, 4, Four, []))));
        stage.Runner.End(7);
    }

    [Fact]
    public void Chunks_that_do_not_go_on_where_the_last_one_ended()
    {
        using var stage = new TestStage();
        stage.Complete(StepOf(Facts(7), ChunkOf(7, 0, Four, [3])));

        Assert.Equal("sequence 7 goes on at position 5; it is computed up to position 3", stage.Refuse(StepOf(null, ChunkOf(7, 5, Four, []))));
        Assert.Equal("sequence 7 goes on at position 3; it is computed up to position 3", stage.Refuse(StepOf(null, ChunkOf(7, 3, Four, []))));
        Assert.Equal("sequence 7 gets block 3, which it has already", stage.Refuse(StepOf(null, ChunkOf(7, 4, Four, [3]))));
        stage.Complete(StepOf(null, ChunkOf(7, 4, Four, [])));
    }

    [Fact]
    public void Without_the_head_a_stage_does_not_know_which_drafts_were_accepted()
    {
        using var first = new TestStage(0, 1);
        first.Complete(StepOf(Facts(7), ChunkOf(7, 0, Four, [3], sampleCount: 3)));
        Assert.Equal("sequence 7 goes on at position 1; it must be from 2 to 4", first.Refuse(StepOf(null, ChunkOf(7, 1, Four, []))));
        Assert.Equal("sequence 7 goes on at position 5; it must be from 2 to 4", first.Refuse(StepOf(null, ChunkOf(7, 5, Four, []))));
        first.Complete(StepOf(null, ChunkOf(7, 2, Four, [])));
    }

    [Fact]
    public void A_shared_block_may_be_read_but_not_written()
    {
        using var stage = new TestStage();
        int[] sixteen = TestModels.Tokens(16, 1);
        stage.Complete(StepOf(Facts(7), ChunkOf(7, 0, [.. sixteen, 5], [3, 4])));

        Assert.Equal(
            "sequence 8 would write to block 3, which another sequence has too",
            stage.Refuse(StepOf(Facts(8), ChunkOf(8, 15, [5], [3]))));
        Assert.Equal(
            "sequence 8 gets block 4, which another sequence has not filled yet",
            stage.Refuse(new Step([Facts(8)], [ChunkOf(7, 17, [5], []), ChunkOf(8, 16, [5], [3, 4])])));
        Assert.Equal(
            "sequence 8 would write to block 3, which another sequence has too",
            stage.Refuse(StepOf(Facts(8), ChunkOf(8, 0, [5], [5, 3]))));
        stage.Complete(StepOf(Facts(8), ChunkOf(8, 16, [5], [3, 5])));
        stage.Runner.End(7);
        stage.Complete(StepOf(Facts(9), ChunkOf(9, 0, [5], [4])));
    }

    [Fact]
    public void What_comes_before_a_first_chunk_must_have_been_computed()
    {
        using var stage = new TestStage();
        Assert.Equal("sequence 8 starts at position 3, but its block 3 holds 0 positions, not 3", stage.Refuse(StepOf(Facts(8), ChunkOf(8, 3, [5], [3]))));
        stage.Complete(StepOf(Facts(7), ChunkOf(7, 0, TestModels.Tokens(20, 1), [3, 4, 5])));
        stage.Runner.End(7);
        Assert.Equal("sequence 8 starts at position 21, but its block 4 holds 4 positions, not 5", stage.Refuse(StepOf(Facts(8), ChunkOf(8, 21, [5], [3, 4]))));
        Assert.Equal("sequence 8 starts at position 33, but its block 4 holds 4 positions, not 16",
            stage.Refuse(StepOf(Facts(8), ChunkOf(8, 33, [5], [3, 4, 5]))));
        stage.Complete(StepOf(Facts(8), ChunkOf(8, 18, [5], [3, 4])));
        stage.Runner.End(8);
        Assert.Equal("sequence 9 starts at position 20, but its block 4 holds 3 positions, not 4", stage.Refuse(StepOf(Facts(9), ChunkOf(9, 20, [5], [3, 4]))));
        stage.Complete(StepOf(Facts(9), ChunkOf(9, 19, [5], [3, 4])));
    }

    [Theory]
    [InlineData(3, 16, "block 3 is to be copied to block 16; there are blocks 0 to 15")]
    [InlineData(-1, 5, "block -1 is to be copied to block 5; there are blocks 0 to 15")]
    [InlineData(6, 5, "block 6 is to be copied, but it holds nothing")]
    [InlineData(3, 4, "block 3 is to be copied over block 4, which is in use")]
    [InlineData(3, 3, "block 3 is to be copied over block 3, which is in use")]
    [InlineData(3, 7, "block 7 is copied to, but no sequence gets it")]
    [InlineData(4, 5, "sequence 8 starts at position 19, but its block 5 holds 2 positions, not 3")]
    public void Copies_that_cannot_be_made(int source, int target, string reason)
    {
        using var stage = new TestStage();
        stage.Complete(StepOf(Facts(7), ChunkOf(7, 0, TestModels.Tokens(18, 1), [3, 4])));
        var chunk = ChunkOf(8, 19, [5], [3, 5]);
        Assert.Equal(reason, stage.Refuse(new Step([Facts(8)], [target == 7 ? ChunkOf(8, 0, Four, [8]) : chunk]) { Copies = [new(source, target)] }));

        // Nothing of it has been kept, and the right copy can be made.
        Assert.Equal("sequence 8 starts at position 19, but its block 5 holds 0 positions, not 3", stage.Refuse(StepOf(Facts(8), chunk)));
        stage.Complete(new Step([Facts(8)], [ChunkOf(8, 18, [5], [3, 5])]) { Copies = [new(4, 5)] });
    }

    [Fact]
    public void Activations_that_do_not_belong_to_the_step()
    {
        using var last = new TestStage(2, 1);
        var step = StepOf(Facts(7), ChunkOf(7, 0, Four, [3]));
        Assert.Equal("the step has 4 rows, but activations of 0 were given", last.Refuse(step));
        last.Runner.Input(3);
        Assert.Equal("the step has 4 rows, but activations of 3 were given", last.Refuse(step));
        last.Runner.Input(4).Fill(0.5f);
        last.Complete(step);
        Assert.Equal("the step has 4 rows, but activations of 0 were given", last.Refuse(StepOf(null, ChunkOf(7, 4, Four, []))));
        Assert.Throws<ArgumentOutOfRangeException>(() => { last.Runner.Input(MaxRows + 1); });
    }

    [Fact]
    public void A_stage_in_the_middle_needs_no_tokens()
    {
        using var middle = new TestStage(1, 1);
        middle.Runner.Input(4).Fill(0.5f);
        middle.Complete(StepOf(Facts(7), new Chunk(7, 0, 4, default, new[] { 3 }, 1)));
        Assert.Equal(4 * 64, middle.Runner.Output.Length);
        middle.Runner.Input(2).Fill(0.5f);
        Assert.Equal("sequence 7 has 1 tokens for 2 positions", middle.Refuse(StepOf(null, new Chunk(7, 4, 2, new[] { 1 }, default, 1))));
    }

    [Fact]
    public void History_must_be_there_where_penalties_ask_for_it()
    {
        var penalty = new SamplingOptions { RepetitionPenalty = 2 };
        var reason = "sequence 7 has penalties and starts at position 3, but a history of 2 tokens";
        CheckRefused(reason, StepOf(Facts(7, penalty, history: [1, 2]), ChunkOf(7, 3, [1], [3])));
        CheckRefused(
            "sequence 7 wants log-probabilities of its prompt, but starts within it, at position 3",
            StepOf(Facts(7, new SamplingOptions { PromptLogprobs = true }), ChunkOf(7, 3, [1], [3])));

        using var first = new TestStage(0, 1);
        first.Complete(StepOf(Facts(8), ChunkOf(8, 0, Four, [3])));
        first.Runner.End(8);
        first.Complete(StepOf(Facts(7, penalty), ChunkOf(7, 3, [1], [3])));
    }

    [Theory]
    [InlineData("temperature", float.NaN)]
    [InlineData("temperature", -1f)]
    [InlineData("top_p", 0f)]
    [InlineData("top_p", 1.5f)]
    [InlineData("min_p", -0.1f)]
    [InlineData("min_p", float.NaN)]
    [InlineData("repetition_penalty", 0f)]
    [InlineData("repetition_penalty", float.PositiveInfinity)]
    [InlineData("frequency_penalty", 1e30f)]
    [InlineData("presence_penalty", float.NaN)]
    [InlineData("top_k", -1f)]
    [InlineData("top_logprobs", 21f)]
    [InlineData("logit_bias of token 3", 101f)]
    public void Sampling_options_out_of_range(string field, float value)
    {
        var options = new SamplingOptions();
        options = field switch
        {
            "temperature" => options with { Temperature = value },
            "top_p" => options with { TopP = value },
            "min_p" => options with { MinP = value },
            "repetition_penalty" => options with { RepetitionPenalty = value },
            "frequency_penalty" => options with { FrequencyPenalty = value },
            "presence_penalty" => options with { PresencePenalty = value },
            "top_k" => options with { TopK = (int)value },
            "top_logprobs" => options with { TopLogprobs = (int)value },
            _ => options with { LogitBias = new Dictionary<int, float> { [3] = value } },
        };
        using var stage = new TestStage();
        var failure = Assert.Single(Assert.IsType<StepOutcome.Completed>(stage.Runner.Run(StepOf(Facts(7, options), ChunkOf(7, 0, Four, [3])))).Failures);
        Assert.Equal(7UL, failure.SequenceId);
        Assert.StartsWith($"{field} is ", failure.Reason);
    }

    [Fact]
    public void A_biased_token_must_be_one_of_the_model()
    {
        var options = new SamplingOptions { LogitBias = new Dictionary<int, float> { [20] = 1 } };
        using var stage = new TestStage();
        var outcome = Assert.IsType<StepOutcome.Completed>(stage.Runner.Run(StepOf(Facts(7, options), ChunkOf(7, 0, Four, [3]))));
        Assert.Equal([new SequenceFailure(7, "logit_bias has token 20; ids are from 0 to 19")], outcome.Failures);
    }

    static void CheckRefused(string reason, Step step)
    {
        using var stage = new TestStage();
        Assert.Equal(reason, stage.Refuse(step));

        // Nothing of it has been kept.
        stage.Complete(new Step([Facts(7), Facts(8)], [ChunkOf(7, 0, Four, [3]), ChunkOf(8, 0, Four, [0])]));
    }
}
