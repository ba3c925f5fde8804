using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Tests.Inference;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Local;

public sealed class LocalGeneratorTests
{
    static readonly int[] Prompt = TestModels.Tokens(30, 4);

    [Theory]
    [InlineData(1, 1, 256)]
    [InlineData(1, 2, 7)]
    [InlineData(3, 2, 256)]
    [InlineData(5, 1, 1)]
    public void The_same_tokens_from_any_stages_threads_and_chunks(int stages, int threads, int rows)
    {
        var sampling = new SamplingOptions { Temperature = 1, Seed = 7, TopP = 0.9f, FrequencyPenalty = 0.3f, TopLogprobs = 2 };
        using var plain = Load(new LocalGeneratorOptions { Threads = 1 });
        using var other = Load(new LocalGeneratorOptions { Threads = threads, Stages = stages, MaxStepRows = rows });
        var expected = plain.Generate(Prompt, sampling, 20, new HashSet<int>()).ToArray();
        var actual = other.Generate(Prompt, sampling, 20, new HashSet<int>()).ToArray();
        Assert.Equal(20, expected.Length);
        Assert.Equal(expected.Select(token => (token.Id, token.Logprob)), actual.Select(token => (token.Id, token.Logprob)));
        Assert.Equal(plain.Score(Prompt).Select(token => token.Logprob), other.Score(Prompt).Select(token => token.Logprob));
    }

    [Fact]
    public void Ends_with_a_stop_id_with_the_limit_or_with_the_context()
    {
        using var generator = Load(new LocalGeneratorOptions { Threads = 1, ContextLength = 40, KvType = KvType.F32 });
        var all = generator.Generate(Prompt, new SamplingOptions(), 100, new HashSet<int>()).Select(token => token.Id).ToArray();
        Assert.Equal(10, all.Length);

        Assert.Equal(all[..3], generator.Generate(Prompt, new SamplingOptions(), 3, new HashSet<int>()).Select(token => token.Id));
        Assert.Empty(generator.Generate(Prompt, new SamplingOptions(), 0, new HashSet<int>()));
        var stop = all[4];
        var stopped = generator.Generate(Prompt, new SamplingOptions(), 100, new HashSet<int> { stop }).Select(token => token.Id).ToArray();
        Assert.Equal(all[..(Array.IndexOf(all, stop) + 1)], stopped);
    }

    [Fact]
    public void A_stream_that_is_left_early_leaves_nothing_behind()
    {
        using var generator = Load(new LocalGeneratorOptions { Threads = 1, ContextLength = 40 });
        var expected = generator.Generate(Prompt, new SamplingOptions(), 5, new HashSet<int>()).Select(token => token.Id).ToArray();
        for (var i = 0; i < 5; i++) Assert.Equal(expected[0], generator.Generate(Prompt, new SamplingOptions(), 5, new HashSet<int>()).First().Id);
        Assert.Equal(expected, generator.Generate(Prompt, new SamplingOptions(), 5, new HashSet<int>()).Select(token => token.Id));
    }

    [Fact]
    public void Scores_are_those_of_the_reference()
    {
        using var weights = TestModels.Deep.Weights();
        using var generator = Load(new LocalGeneratorOptions { Threads = 1, MaxStepRows = 8 });
        var scores = generator.Score(Prompt, topLogprobs: 3);
        var reference = new ReferenceModel(weights);
        Assert.Equal(Prompt[1..], scores.Select(token => token.Id));
        foreach (var (token, i) in scores.Select((token, i) => (token, i)))
        {
            var expected = ReferenceModel.LogSoftmax(reference.Next(Prompt[i]));
            Assert.Equal(expected[token.Id], token.Logprob, 0.1);
            Assert.Equal(3, token.Top.Count);
        }
    }

    [Fact]
    public void What_cannot_be_run_is_said()
    {
        using var generator = Load(new LocalGeneratorOptions { Threads = 1, ContextLength = 30 });
        void Check(string message, Func<object> action) => Assert.StartsWith(message, Assert.Throws<ArgumentException>(action).Message);
        Check("the prompt has 30 tokens; fewer than 30 fit", () => generator.Generate(Prompt, new SamplingOptions(), 1, new HashSet<int>()));
        Check("there are no tokens", () => generator.Generate([], new SamplingOptions(), 1, new HashSet<int>()).ToArray());
        Check("there are 31 tokens; 30 fit", () => generator.Score([.. Prompt, 1]));
        Check("sequence 2 has token 20", () => generator.Generate([20], new SamplingOptions(), 1, new HashSet<int>()).ToArray());
        Check("sequence 3: temperature is -1", () => generator.Generate([1], new SamplingOptions { Temperature = -1 }, 1, new HashSet<int>()).ToArray());
        Check("log-probabilities of a prompt", () => generator.Generate([1], new SamplingOptions { PromptLogprobs = true }, 1, new HashSet<int>()));
    }

    [Fact]
    public void Generation_can_be_cancelled()
    {
        using var generator = Load(new LocalGeneratorOptions { Threads = 1 });
        using var cancellation = new CancellationTokenSource();
        var tokens = 0;
        Assert.Throws<OperationCanceledException>(() =>
        {
            foreach (var _ in generator.Generate(Prompt, new SamplingOptions(), 100, new HashSet<int>(), cancellation: cancellation.Token))
                if (++tokens == 4) cancellation.Cancel();
        });
        Assert.Equal(4, tokens);
    }

    static LocalGenerator Load(LocalGeneratorOptions options)
    {
        using var weights = TestModels.Deep.Weights();
        return new LocalGenerator(weights, options);
    }
}
