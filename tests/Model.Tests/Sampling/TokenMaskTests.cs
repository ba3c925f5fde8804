using LlamaCluster.Model.Sampling;

namespace LlamaCluster.Model.Tests.Sampling;

public sealed class TokenMaskTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(37)]
    public void Only_scores_of_allowed_ids_stay(int vocabularySize)
    {
        var mask = new byte[8 * TokenMask.Words(vocabularySize)];
        new Random(vocabularySize).NextBytes(mask);
        if (mask.Length > 2) (mask[0], mask[1]) = (0, 0xFF);
        var scores = Enumerable.Range(0, vocabularySize).Select(i => (float)i).ToArray();

        TokenMask.Apply(mask, scores);

        for (var id = 0; id < vocabularySize; id++)
            Assert.Equal((mask[id / 8] >> (id % 8) & 1) == 1 ? id : float.NegativeInfinity, scores[id]);
    }

    [Theory]
    [InlineData(0b0110UL, true)]
    [InlineData(0b0100UL, false)]
    [InlineData(0UL, false)]
    public void AllowsAnyBut_does_not_count_the_ids_that_are_named(ulong mask, bool allowsAny) =>
        Assert.Equal(allowsAny, TokenMask.AllowsAnyBut([2, 65], [mask, 2UL]));
}
