using System.Globalization;

namespace LlamaCluster.Primitives.Tests;

/// <summary>Every option at its edges: the least and the most value, the floats next to them, and what is no number.</summary>
public sealed class SamplingRangesTests
{
    const int Vocabulary = 100;

    /// <summary>Name, range as messages say it, least, most, whether least is excluded.</summary>
    public static TheoryData<string, string, float, float, bool> Options => new()
    {
        { "temperature", "from 0 to 2", 0, 2, false },
        { "top_p", "above 0 and at most 1", 0, 1, true },
        { "min_p", "from 0 to 1", 0, 1, false },
        { "repetition_penalty", "from 0.01 to 10", 0.01f, 10, false },
        { "frequency_penalty", "from -2 to 2", -2, 2, false },
        { "presence_penalty", "from -2 to 2", -2, 2, false },
        { "logit_bias of token 7", "from -100 to 100", -100, 100, false },
    };

    public static IEnumerable<object[]> Names => Options.Select(option => option[..2]);

    [Theory]
    [MemberData(nameof(Options))]
    public void An_option_may_have_its_least_and_most_value_and_those_between(string name, string range, float least, float most, bool excludesLeast)
    {
        var first = excludesLeast ? MathF.BitIncrement(least) : least;
        foreach (var value in new[] { first, MathF.BitIncrement(first), (least + most) / 2, MathF.BitDecrement(most), most })
            Assert.True(SamplingRanges.FirstProblem(With(name, value), Vocabulary) is null, $"{name} of {value:R} is {range}");
    }

    [Theory]
    [MemberData(nameof(Options))]
    public void A_value_just_outside_is_refused_with_option_value_and_range(string name, string range, float least, float most, bool excludesLeast)
    {
        AssertRefused(name, range, excludesLeast ? least : MathF.BitDecrement(least));
        AssertRefused(name, range, MathF.BitIncrement(most));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void What_is_no_number_or_far_outside_is_refused(string name, string range)
    {
        AssertRefused(name, range, float.NaN);
        AssertRefused(name, range, -float.NaN);
        AssertRefused(name, range, float.PositiveInfinity);
        AssertRefused(name, range, float.NegativeInfinity);
        AssertRefused(name, range, float.MaxValue);
        AssertRefused(name, range, float.MinValue);
    }

    [Theory]
    [InlineData("temperature", true)]
    [InlineData("min_p", true)]
    [InlineData("top_p", false)]
    public void Negative_zero_is_zero(string name, bool allowed)
        => Assert.Equal(allowed, SamplingRanges.FirstProblem(With(name, -0f), Vocabulary) is null);

    [Fact]
    public void The_defaults_have_no_problem() => Assert.Null(SamplingRanges.FirstProblem(new SamplingOptions(), Vocabulary));

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, true)]
    [InlineData(int.MaxValue, true)]
    [InlineData(-1, false)]
    [InlineData(int.MinValue, false)]
    public void Top_k_is_0_or_more(int value, bool allowed)
        => Assert.Equal(
            allowed ? null : $"top_k is {value}; it must be 0 or more",
            SamplingRanges.FirstProblem(new SamplingOptions { TopK = value }, Vocabulary));

    [Theory]
    [InlineData(null, true)]
    [InlineData(0, true)]
    [InlineData(20, true)]
    [InlineData(21, false)]
    [InlineData(-1, false)]
    [InlineData(int.MaxValue, false)]
    [InlineData(int.MinValue, false)]
    public void Top_logprobs_are_from_0_to_20(int? value, bool allowed) => Assert.Equal(
        allowed ? null : $"top_logprobs is {value}; it must be from 0 to 20",
        SamplingRanges.FirstProblem(new SamplingOptions { TopLogprobs = value }, Vocabulary));

    [Theory]
    [InlineData(0, true)]
    [InlineData(Vocabulary - 1, true)]
    [InlineData(Vocabulary, false)]
    [InlineData(int.MaxValue, false)]
    [InlineData(-1, false)]
    [InlineData(int.MinValue, false)]
    public void A_bias_is_for_a_token_of_the_vocabulary(int id, bool allowed) => Assert.Equal(
        allowed ? null : $"logit_bias has token {id}; ids are from 0 to 99",
        SamplingRanges.FirstProblem(new SamplingOptions { LogitBias = new Dictionary<int, float> { [id] = 1 } }, Vocabulary));

    [Theory]
    [InlineData(0, 0, 0, null)]
    [InlineData(int.MaxValue, 99, 1, null)]
    [InlineData(1, 0, Vocabulary - 1, null)]
    [InlineData(-1, 0, 1, "min_tokens is -1; it must be 0 or more")]
    [InlineData(1, 100, 1, "min_tokens holds back token 100; ids are from 0 to 99")]
    [InlineData(0, -1, 1, "min_tokens holds back token -1; ids are from 0 to 99")]
    [InlineData(1, 0, Vocabulary, "min_tokens holds back 100 ids; there are 100")]
    public void What_min_tokens_holds_back_is_of_the_vocabulary_and_leaves_something(int tokens, int firstId, int count, string? problem) => Assert.Equal(
        problem, SamplingRanges.FirstProblem(new SamplingOptions { MinTokens = tokens, EndIds = [.. Enumerable.Range(firstId, count)] }, Vocabulary));

    [Fact]
    public void The_first_problem_is_the_one_that_is_told()
    {
        var wrong = new SamplingOptions { Temperature = 3, TopK = -1, TopP = 0, TopLogprobs = 99 };
        Assert.StartsWith("temperature is 3;", SamplingRanges.FirstProblem(wrong, Vocabulary));
        Assert.StartsWith("top_k is -1;", SamplingRanges.FirstProblem(wrong with { Temperature = 0 }, Vocabulary));
        Assert.StartsWith("top_p is 0;", SamplingRanges.FirstProblem(wrong with { Temperature = 0, TopK = 0 }, Vocabulary));
        Assert.StartsWith("top_logprobs is 99;", SamplingRanges.FirstProblem(wrong with { Temperature = 0, TopK = 0, TopP = 1 }, Vocabulary));
    }

    [Fact]
    public void Messages_are_the_same_in_every_culture()
    {
        var before = CultureInfo.CurrentCulture;
        var commas = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        commas.NumberFormat.NumberDecimalSeparator = ",";
        commas.NumberFormat.NegativeSign = "~";
        try
        {
            CultureInfo.CurrentCulture = commas;
            Assert.Equal("repetition_penalty is -0.5; it must be from 0.01 to 10", SamplingRanges.RepetitionPenalty.Problem(-0.5f));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    static void AssertRefused(string name, string range, float value) => Assert.Equal(
        string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it must be {range}"), SamplingRanges.FirstProblem(With(name, value), Vocabulary));

    static SamplingOptions With(string name, float value) => name switch
    {
        "temperature" => new SamplingOptions { Temperature = value },
        "top_p" => new SamplingOptions { TopP = value },
        "min_p" => new SamplingOptions { MinP = value },
        "repetition_penalty" => new SamplingOptions { RepetitionPenalty = value },
        "frequency_penalty" => new SamplingOptions { FrequencyPenalty = value },
        "presence_penalty" => new SamplingOptions { PresencePenalty = value },
        _ => new SamplingOptions { LogitBias = new Dictionary<int, float> { [7] = value } },
    };
}
