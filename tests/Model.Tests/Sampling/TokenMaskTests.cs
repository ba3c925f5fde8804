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
        var mask = new byte[TokenMask.Bytes(vocabularySize)];
        new Random(vocabularySize).NextBytes(mask);
        if (mask.Length > 2) (mask[0], mask[1]) = (0, 0xFF);
        var scores = Enumerable.Range(0, vocabularySize).Select(i => (float)i).ToArray();

        TokenMask.Apply(mask, scores);

        for (var id = 0; id < vocabularySize; id++)
            Assert.Equal((mask[id / 8] >> (id % 8) & 1) == 1 ? id : float.NegativeInfinity, scores[id]);
    }

    [Theory]
    [InlineData(16, new byte[] { 0, 0 }, false)]
    [InlineData(16, new byte[] { 0, 128 }, true)]
    [InlineData(11, new byte[] { 0, 0b1111_1000 }, false)]
    [InlineData(11, new byte[] { 0, 0b0000_0100 }, true)]
    [InlineData(11, new byte[] { 1, 0 }, true)]
    public void Bits_beyond_the_vocabulary_do_not_count(int vocabularySize, byte[] mask, bool allowsAny) =>
        Assert.Equal(allowsAny, TokenMask.AllowsAny(mask, vocabularySize));
}
