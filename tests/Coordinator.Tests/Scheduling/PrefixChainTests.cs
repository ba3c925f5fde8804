using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class PrefixChainTests
{
    static readonly PrefixHash Root = PrefixHash.Root("digest", "");
    static readonly int[] Tokens = [.. Enumerable.Range(100, 50)];

    [Fact]
    public void Every_prefix_has_a_hash_of_its_own()
    {
        var chain = PrefixChain.Of(Root, Tokens);
        Assert.Equal(51, Enumerable.Range(0, 51).Select(length => chain.HashOf(Tokens, length)).Distinct().Count());
    }

    [Fact]
    public void Equal_tokens_have_equal_hashes_however_they_became_known()
    {
        var whole = PrefixChain.Of(Root, Tokens);
        var grown = PrefixChain.Of(Root, Tokens.AsSpan(0, 5));
        foreach (var length in new[] { 5, 16, 17, 32, 50 }) Assert.Equal(whole.HashOf(Tokens, length), grown.HashOf(Tokens.AsSpan(0, length), length));
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
        Assert.NotEqual(PrefixChain.Of(Root, Tokens).HashOf(Tokens, 32), PrefixChain.Of(Root, others).HashOf(others, 32));
        Assert.NotEqual(PrefixChain.Of(Root, Tokens).HashOf(Tokens, 40), PrefixChain.Of(Root, others).HashOf(others, 40));
    }

    [Fact]
    public void So_do_model_and_salt()
    {
        PrefixHash[] roots = [Root, PrefixHash.Root("digest", "a"), PrefixHash.Root("digest", "b"), PrefixHash.Root("digesta", ""), PrefixHash.Root("other", "a")];
        Assert.Equal(roots.Length, roots.Select(root => PrefixChain.Of(root, Tokens).HashOf(Tokens, 20)).Distinct().Count());
    }
}
