using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class PrefixCacheKeyTests
{
    static readonly PrefixCacheKey Root = PrefixCacheKey.Root("digest", "");
    static readonly int[] Tokens = [.. Enumerable.Range(100, 50)];

    [Fact]
    public void Every_prefix_has_a_hash_of_its_own()
    {
        var keys = Keys(Root, Tokens);
        Assert.Equal(51, Enumerable.Range(0, 51).Select(length => keys.Of(length)).Distinct().Count());
    }

    [Fact]
    public void Equal_tokens_have_equal_hashes_however_they_became_known()
    {
        var whole = Keys(Root, Tokens);
        var grown = Keys(Root, Tokens, prompt: 5);
        foreach (var length in new[] { 5, 16, 17, 32, 50 }) Assert.Equal(whole.Of(length), grown.Of(length));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(31)]
    public void Every_token_counts(int position)
    {
        int[] others = [.. Tokens];
        others[position] ^= 1 << 20;
        Assert.NotEqual(Keys(Root, Tokens).Of(32), Keys(Root, others).Of(32));
        Assert.NotEqual(Keys(Root, Tokens).Of(40), Keys(Root, others).Of(40));
    }

    [Fact]
    public void So_do_model_and_salt()
    {
        PrefixCacheKey[] roots =
        [
            Root, PrefixCacheKey.Root("digest", "a"), PrefixCacheKey.Root("digest", "b"),
            PrefixCacheKey.Root("digesta", ""), PrefixCacheKey.Root("other", "a"),
        ];
        Assert.Equal(roots.Length, roots.Select(root => Keys(root, Tokens).Of(20)).Distinct().Count());
    }

    /// <param name="prompt">How many of the tokens are the prompt's; the others are generated.</param>
    static SequenceKeys Keys(PrefixCacheKey root, int[] tokens, int? prompt = null)
    {
        var history = new TokenHistory(tokens[..(prompt ?? tokens.Length)]);
        var keys = new PromptKeys(root, tokens[..history.PromptLength]);
        keys.Compute();
        foreach (var token in tokens[history.PromptLength..]) history.Append(token);
        return new SequenceKeys(keys, history);
    }
}
