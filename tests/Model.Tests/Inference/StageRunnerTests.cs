using System.Runtime.InteropServices;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Testing.Models;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Matching;
using static LlamaCluster.Model.Tests.Inference.TestStage;

namespace LlamaCluster.Model.Tests.Inference;

public sealed class StageRunnerTests
{
    static readonly int[] Prompt = TestModels.Tokens(20, 9);

    [Fact]
    public void Drafts_that_are_right_are_accepted_and_give_one_token_more()
    {
        var expected = Generate(new SamplingOptions(), 8);
        using var stage = new TestStage();
        var first = Begin(stage, new SamplingOptions());
        Assert.Equal(expected[0], Assert.Single(first.Tokens).Id);

        // Three drafts: the second one is wrong.
        var wrong = (expected[2] + 1) % TestModels.Vocabulary;
        var samples = stage.Complete(StepOf(null, ChunkOf(7, 20, [expected[0], expected[1], wrong, expected[3]], [], sampleCount: 4)))[0];
        Assert.Equal([expected[1], expected[2]], samples.Tokens.Select(token => token.Id));

        // Going on behind the accepted one gives what an undisturbed run gives; all drafts right give all of them and the next.
        Assert.Equal("sequence 7 goes on at position 23; it is computed up to position 21", stage.Refuse(StepOf(null, ChunkOf(7, 23, [1], []))));
        samples = stage.Complete(StepOf(null, ChunkOf(7, 22, [expected[2], expected[3], expected[4]], [], sampleCount: 3)))[0];
        Assert.Equal([expected[3], expected[4], expected[5]], samples.Tokens.Select(token => token.Id));
    }

    [Theory]
    [InlineData(1f)]
    [InlineData(0.1f)]
    public void Drafts_are_verified_with_the_same_random_numbers_and_penalties(float temperature)
    {
        var options = new SamplingOptions
        {
            Temperature = temperature,
            Seed = 42,
            TopK = 12,
            RepetitionPenalty = 1.3f,
            FrequencyPenalty = 0.2f,
            PresencePenalty = 0.1f,
            TopLogprobs = 3,
        };
        var expected = GenerateTokens(options, 10);
        using var stage = new TestStage();
        Begin(stage, options);
        var wrong = (expected[3].Id + 1) % TestModels.Vocabulary;
        var accepted = stage.Complete(StepOf(null, ChunkOf(7, 20, [expected[0].Id, expected[1].Id, expected[2].Id, wrong], [], sampleCount: 4)))[0].Tokens;
        var rest = stage.Complete(StepOf(null, ChunkOf(7, 23, [expected[3].Id, expected[4].Id], [], sampleCount: 2)))[0].Tokens;

        var all = accepted.Concat(rest).ToArray();
        Assert.Equal(expected.Skip(1).Take(5).Select(token => token.Id), all.Select(token => token.Id));
        Assert.Equal(expected.Skip(1).Take(5).Select(token => token.Logprob), all.Select(token => token.Logprob));
    }

    [Fact]
    public void A_sequence_goes_on_the_same_after_it_was_lost()
    {
        var options = new SamplingOptions { Temperature = 1, Seed = 5, RepetitionPenalty = 1.2f, PresencePenalty = 0.5f };
        var expected = Generate(options, 12);

        // On another worker, from the tokens known: prompt and output as one chunk, sampled at its end.
        int[] known = [.. Prompt, .. expected[..6]];
        using var other = new TestStage();
        var samples = other.Complete(StepOf(Facts(9, options, Prompt.Length), ChunkOf(9, 0, known, [0, 1], sampleCount: 1)))[0];
        Assert.Equal(expected[6], samples.Tokens[0].Id);

        // With a prefix whose KV is there already: the history says what it was.
        other.Runner.End(9);
        samples = other.Complete(StepOf(Facts(10, options, Prompt.Length, known[..16]), ChunkOf(10, 16, known[16..], [0, 1], sampleCount: 1)))[0];
        Assert.Equal(expected[6], samples.Tokens[0].Id);
    }

    [Fact]
    public void Only_tokens_that_the_grammar_lets_through_are_sampled_at_each_position()
    {
        using var stage = new TestStage();
        var facts = Facts(7, promptLength: Prompt.Length) with { Grammar = Grammar("nra") };
        Assert.Equal(13, stage.Complete(StepOf(facts, ChunkOf(7, 0, Prompt, [0, 1, 2], sampleCount: 1)))[0].Tokens[0].Id);

        // Two positions, each with its own mask. The draft is what the first one allows; another one is not accepted, and what is behind it is not used.
        Assert.Equal([17, 0], stage.Complete(StepOf(null, ChunkOf(7, 20, [13, 17], [], sampleCount: 2)))[0].Tokens.Select(token => token.Id));
        stage.Runner.End(7);
        using var other = new TestStage();
        other.Complete(StepOf(facts, ChunkOf(7, 0, Prompt, [0, 1, 2], sampleCount: 1)));
        Assert.Equal([17], other.Complete(StepOf(null, ChunkOf(7, 20, [13, 5, 0], [], sampleCount: 3)))[0].Tokens.Select(token => token.Id));
        Assert.Equal([0], other.Complete(StepOf(null, ChunkOf(7, 21, [17], [], sampleCount: 1)))[0].Tokens.Select(token => token.Id));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(21)]
    public void An_answer_that_has_begun_goes_on_by_its_grammar_from_its_tokens(int start)
    {
        using var stage = new TestStage();
        int[] known = [.. Prompt, 13, 17];
        var facts = Facts(8, promptLength: known.Length);
        stage.Complete(StepOf(facts, ChunkOf(8, 0, known, [0, 1])));
        stage.Runner.End(8);
        var again = Facts(9, promptLength: Prompt.Length, history: known[..start]) with { Grammar = Grammar("nrab") };
        int[] blocks = start == 0 ? [4, 5] : [0, 1];
        Assert.Equal(0, stage.Complete(StepOf(again, ChunkOf(9, start, known[start..], blocks, sampleCount: 1)))[0].Tokens[0].Id);
    }

    [Fact]
    public void An_answer_that_its_grammar_does_not_allow_fails_alone()
    {
        using var stage = new TestStage();
        var facts = Facts(7, promptLength: Prompt.Length) with { Grammar = Grammar("ab") };
        var outcome = Assert.IsType<StepOutcome.Completed>(stage.Runner.Run(StepOf(facts, ChunkOf(7, 0, [.. Prompt, 3], [0, 1], sampleCount: 1))));
        Assert.Equal([new SequenceFailure(7, "the answer so far is not one that its grammar allows", IsSound: true)], outcome.Failures);
        Assert.Equal(
            "sequence 9 has a grammar and starts at position 20, but a history of 18 tokens",
            stage.Refuse(StepOf(Facts(9, promptLength: 18) with { Grammar = Grammar("ab") }, ChunkOf(9, 20, [1], [0, 1]))));
    }

    /// <summary>Behind one of two letters there are too many ways to go on. Which of them the model prefers, a grammar with both shows.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_draft_that_takes_too_much_work_is_refused_and_fails_nobody_unless_it_is_chosen(bool isChosen)
    {
        var facts = Facts(7, promptLength: Prompt.Length);
        var preferred = Second(facts with { Grammar = Grammar("n[rb]") }, [13, 0]);
        var other = preferred == 17 ? 1 : 17;
        var (bad, good) = isChosen ? (preferred, other) : (other, preferred);
        string Letter(int id) => $"\"{(char)('a' + id)}\"";
        var source = $"root ::= \"n\" ({Letter(good)} \"a\" | {Letter(bad)} (x?){{10000}} (x?){{10000}} (x?){{500}} \"a\")\nx ::= \"c\" | \"c\" x";
        using var stage = new TestStage();
        stage.Complete(StepOf(facts with { Grammar = Grammar(source, GrammarKind.Gbnf) }, ChunkOf(7, 0, Prompt, [0, 1, 2], sampleCount: 1)));
        Assert.Equal([preferred], stage.Complete(StepOf(null, ChunkOf(7, 20, [13, bad, 0, 0], [], sampleCount: 4)))[0].Tokens.Select(token => token.Id));
        var next = Assert.IsType<StepOutcome.Completed>(stage.Runner.Run(StepOf(null, ChunkOf(7, 21, [preferred, 0], [], sampleCount: 2))));
        if (isChosen) Assert.Contains("too ambiguous", Assert.Single(next.Failures).Reason);
        else Assert.Equal([0], next.Samples[0].Tokens.Select(token => token.Id).Take(1));
    }

    static int Second(SequenceStart facts, int[] drafted)
    {
        using var stage = new TestStage();
        stage.Complete(StepOf(facts, ChunkOf(7, 0, Prompt, [0, 1, 2], sampleCount: 1)));
        return stage.Complete(StepOf(null, ChunkOf(7, 20, drafted, [], sampleCount: 2)))[0].Tokens[0].Id;
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(1f)]
    public void What_would_end_an_answer_is_not_chosen_before_it_has_the_tokens_that_it_must_have(float temperature)
    {
        var free = new SamplingOptions { Temperature = temperature, Seed = 3 };
        var held = free with { MinTokens = 2, EndIds = [.. Enumerable.Range(0, TestModels.Vocabulary).Except([5, 11])] };
        using var masked = new TestStage();
        using var stage = new TestStage();
        int Sample(TestStage on, Step step) => on.Complete(step)[0].Tokens[0].Id;

        var facts = Facts(7, free, Prompt.Length) with { Grammar = Grammar("[fl]{2}[a-t]*") };
        var first = Sample(masked, StepOf(facts, ChunkOf(7, 0, Prompt, [0, 1, 2], sampleCount: 1)));
        Assert.Equal(first, Sample(stage, StepOf(Facts(7, held, Prompt.Length), ChunkOf(7, 0, Prompt, [0, 1, 2], sampleCount: 1))));

        // With drafts: the second token is one of the two as well, the third may be any.
        int[] drafts = [first, 5, 11];
        var expected = masked.Complete(StepOf(null, ChunkOf(7, 20, drafts, [], sampleCount: 3)))[0].Tokens;
        var tokens = stage.Complete(StepOf(null, ChunkOf(7, 20, drafts, [], sampleCount: 3)))[0].Tokens;
        Assert.Equal(expected.Select(token => token.Id), tokens.Select(token => token.Id));
        Assert.Contains(tokens[0].Id, new[] { 5, 11 });
    }

    /// <summary>Tokens are the letters from "a" on.</summary>
    static FollowedGrammar Grammar(string expression, GrammarKind kind = GrammarKind.Regex)
    {
        ReadOnlyMemory<byte>[] letters = [.. Enumerable.Range('a', TestModels.Vocabulary).Select(letter => new[] { (byte)letter })];
        return new FollowedGrammar(GrammarCompiler.Compile(new(kind, expression)).Grammar!, new GrammarVocabulary(TestModels.Vocabulary, letters, []));
    }

    [Fact]
    public void Prompt_log_probabilities_do_not_depend_on_chunks()
    {
        var options = new SamplingOptions { PromptLogprobs = true, TopLogprobs = 2 };
        var whole = Prompts(options, 20);
        Assert.Equal(Prompt[1..], whole.Select(token => token.Id));
        foreach (var chunkSize in new[] { 1, 3, 19 })
        {
            var parts = Prompts(options, chunkSize);
            Assert.Equal(whole.Select(token => (token.Id, token.Logprob)), parts.Select(token => (token.Id, token.Logprob)));
            Assert.Equal(whole.SelectMany(token => token.Top), parts.SelectMany(token => token.Top));
        }
    }

    [Theory]
    [InlineData("blk.1.attn_k.weight", "keys or values of layer 1 are not finite at position 0")]
    [InlineData("blk.2.ffn_down.weight", "activations after layer 2 are not finite at position 0")]
    [InlineData("output.weight", "logits after position 19 are not finite")]
    public void Numbers_that_are_not_finite_fail_the_sequence(string tensor, string reason)
    {
        using var stage = new TestStage(weights: new DamagedWeights(TestModels.Grouped.Weights(), tensor));
        var outcome = stage.Runner.Run(StepOf(Facts(7), ChunkOf(7, 0, Prompt, [0, 1], sampleCount: 1)));
        var completed = Assert.IsType<StepOutcome.Completed>(outcome);
        Assert.Equal([new SequenceFailure(7, reason)], completed.Failures);
        Assert.Empty(completed.Samples);
    }

    [Theory]
    [InlineData("grouped heads")]
    [InlineData("mixtral")]
    [InlineData("llama 4")]
    public void A_decoding_step_allocates_its_results_and_nothing_else(string shape)
    {
        var model = TestModels.Shapes[shape] with { Config = TestModels.Shapes[shape].Config with { LayerCount = 3 } };
        // A sampled token is an object, in a list, in the samples of its sequence, in a list, in the outcome.
        const long perStep = 64;
        const long perToken = 200;
        MeasureDecoding(model, sequences: 4, steps: 30);
        var allocated = MeasureDecoding(model, sequences: 4, steps: 60);
        Assert.InRange(allocated, 0, 60 * (perStep + (4 * perToken)));
    }

    static long MeasureDecoding(SyntheticModel model, int sequences, int steps)
    {
        using var stage = new TestStage(weights: model.Weights());
        ulong[] ids = [.. Enumerable.Range(0, sequences).Select(i => (ulong)i)];
        stage.Complete(new Step(
            [.. ids.Select(id => Facts(id, new SamplingOptions { Temperature = (int)id % 2, Seed = id, TopP = 0.9f, TopK = 10 }))],
            [.. ids.Select(id => ChunkOf(id, 0, [1, 2], [(4 * (int)id) + 0, (4 * (int)id) + 1, (4 * (int)id) + 2, (4 * (int)id) + 3]))]));
        var prepared = Enumerable.Range(2, steps)
            .Select(position => new Step([], [.. ids.Select(id => ChunkOf(id, position, [3], [], sampleCount: 1))])).ToArray();

        var before = GC.GetAllocatedBytesForCurrentThread();
        foreach (var step in prepared) _ = stage.Runner.Run(step);
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    static int[] Generate(SamplingOptions options, int count) => [.. GenerateTokens(options, count).Select(token => token.Id)];

    static List<SampledToken> GenerateTokens(SamplingOptions options, int count)
    {
        using var stage = new TestStage();
        List<SampledToken> tokens = [Begin(stage, options).Tokens[0]];
        while (tokens.Count < count)
            tokens.Add(stage.Complete(StepOf(null, ChunkOf(7, 19 + tokens.Count, [tokens[^1].Id], [], sampleCount: 1)))[0].Tokens[0]);
        return tokens;
    }

    static SequenceSamples Begin(TestStage stage, SamplingOptions options) =>
        stage.Complete(StepOf(Facts(7, options, Prompt.Length), ChunkOf(7, 0, Prompt, [5, 2, 9], sampleCount: 1)))[0];

    static List<SampledToken> Prompts(SamplingOptions options, int chunkSize)
    {
        using var stage = new TestStage();
        var tokens = new List<SampledToken>();
        for (var start = 0; start < Prompt.Length; start += chunkSize)
        {
            var part = Prompt[start..Math.Min(start + chunkSize, Prompt.Length)];
            var step = StepOf(start == 0 ? Facts(7, options, Prompt.Length) : null, ChunkOf(7, start, part, start == 0 ? [0, 1] : []));
            tokens.AddRange(stage.Complete(step).SelectMany(samples => samples.Prompt));
        }
        return tokens;
    }

    /// <summary>Weights of which one tensor has a last row that no product with it is finite.</summary>
    sealed class DamagedWeights(SyntheticWeights whole, string damaged) : IModelWeights
    {
        public string Name => whole.Name;

        public LlamaConfig Config => whole.Config;

        public IReadOnlyList<TensorInfo> Tensors => whole.Tensors;

        public TensorInfo? Find(string name) => whole.Find(name);

        public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
        {
            whole.ReadRows(tensor, firstRow, destination);
            if (tensor.Name == damaged && firstRow + (destination.Length / tensor.RowBytes) == tensor.Rows)
                MemoryMarshal.Cast<byte, float>(destination)[^(int)tensor.Columns..].Fill(float.MaxValue);
        }

        public string ComputeDigest(CancellationToken cancellation = default) => whole.ComputeDigest(cancellation);

        public void Dispose() => whole.Dispose();
    }
}
