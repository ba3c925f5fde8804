using LlamaCluster.Model.Sampling;

namespace LlamaCluster.Model.Tests.Sampling;

public sealed class TokenHistoryTests
{
    [Fact]
    public void Counts_uses_in_prompt_and_output_and_takes_them_back()
    {
        var history = new TokenHistory(promptLength: 3);
        history.Add([5, 6, 5]);
        history.Add([5, 7]);
        Assert.Equal(new() { [5] = new TokenUse(3, 1), [6] = new TokenUse(1, 0), [7] = new TokenUse(1, 1) }, history.Uses);

        history.Truncate(4);
        Assert.Equal(new() { [5] = new TokenUse(3, 1), [6] = new TokenUse(1, 0) }, history.Uses);
        history.Truncate(9);
        history.Truncate(1);
        Assert.Equal(new() { [5] = new TokenUse(1, 0) }, history.Uses);
        Assert.Equal(1, history.Count);
    }
}
