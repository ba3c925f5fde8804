using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

public sealed class DrafterTests
{
    [Fact]
    public void Goes_on_as_the_text_did_before()
    {
        var drafter = new Drafter();

        Assert.Equal([4, 5], drafter.Draft(new TokenHistory([1, 2, 3, 4, 5, 6, 1, 2, 3]), rows: 1, most: 7));
        Assert.Equal([4], drafter.Draft(new TokenHistory([1, 2, 3, 4, 5, 6, 1, 2, 3]), rows: 1, most: 1));
    }

    [Fact]
    public void Goes_on_with_its_own_guess_where_the_text_ends()
    {
        var drafter = new Drafter();
        drafter.Verified(20, 20);

        Assert.Equal([2, 1, 2, 1, 2, 1, 2], drafter.Draft(new TokenHistory([2, 1, 2, 1, 2, 1]), rows: 1, most: 7));
    }

    [Fact]
    public void Learns_what_pays()
    {
        var drafter = new Drafter();
        int[] text = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3];
        int[] Draft() => drafter.Draft(new TokenHistory(text), rows: 1, most: 7);

        for (var i = 0; i < 12; i++) drafter.Verified(2, 2);
        Assert.Equal(7, Draft().Length);
        for (var i = 0; i < 20; i++) drafter.Verified(1, 0);
        Assert.Empty(Draft());
        var patience = 0;
        while (Draft().Length == 0) Assert.InRange(++patience, 1, 200);   // tries again after a while
        Assert.InRange(patience, 5, 200);
    }

    [Fact]
    public void A_step_that_computes_much_else_is_no_place_to_guess()
    {
        var drafter = new Drafter();

        Assert.Empty(drafter.Draft(new TokenHistory([1, 2, 3, 4, 5, 6, 1, 2, 3]), rows: 100, most: 7));
        Assert.Equal([4, 5], drafter.Draft(new TokenHistory([1, 2, 3, 4, 5, 6, 1, 2, 3]), rows: 1, most: 7));
    }

    [Fact]
    public void A_long_prompt_is_taken_in_over_some_steps()
    {
        var drafter = new Drafter();
        int[] text = [.. Enumerable.Range(0, 5000), 10, 11, 12];

        Assert.Empty(drafter.Draft(new TokenHistory(text), rows: 1, most: 7));
        Assert.Empty(drafter.Draft(new TokenHistory(text), rows: 1, most: 7));
        Assert.Equal([13, 14], drafter.Draft(new TokenHistory(text), rows: 1, most: 7));
    }
}
