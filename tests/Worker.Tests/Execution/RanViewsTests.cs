using LlamaCluster.Model.Sequences;
using LlamaCluster.Worker.Execution;

namespace LlamaCluster.Worker.Tests.Execution;

public sealed class RanViewsTests
{
    [Fact]
    public void A_view_in_which_no_block_was_touched_is_known_beside_the_one_before()
    {
        var views = RanViews.None
            .Then(new RanView(5, 70), isUntouched: false).Then(new RanView(6, 0), isUntouched: true).Then(new RanView(7, 0), isUntouched: true);
        Assert.Equal([new RanView(5, 70), new RanView(6, 0), new RanView(7, 0)], views.Views);
        Assert.Equal([new RanView(8, 3)], views.Then(new RanView(8, 3), isUntouched: false).Views);
    }

    [Fact]
    public void The_last_views_are_remembered()
    {
        var views = RanViews.None.Then(new RanView(1, 9), isUntouched: false);
        for (ulong view = 2; view <= 40; view++) views = views.Then(new RanView(view, 0), isUntouched: true);
        Assert.Equal(Enumerable.Range(25, 16).Select(view => (ulong)view), views.Views.Select(view => view.Version));
    }

    [Fact]
    public void What_is_of_two_workers_is_true_of_the_views_that_both_ran_as_far_as_both_did()
    {
        RanViews one = new([new RanView(5, 70), new RanView(6, 0)]), other = new([new RanView(4, 9), new RanView(5, 68)]);
        Assert.Equal([new RanView(5, 68)], one.And(other).Views);
        Assert.Empty(one.And(RanViews.None).Views);
    }

    [Fact]
    public void The_message_has_a_bit_for_each_block()
    {
        var message = RanViews.None.Then(new RanView(5, 70), isUntouched: false).ToMessage(new KeptStates(4, 9, [4, 9, 7, 4, 9, 9, 9, 9, 4, 9, 4]));
        Assert.Equal([(4u, 5u), (7u, 2u)], message.Layers.Select(layers => (layers.FirstLayer, layers.LayerCount)));
        Assert.Equal(new byte[] { 0b1001, 0b101 }, message.Layers[0].Whole.ToByteArray());
        Assert.Equal(new byte[] { 0b100, 0 }, message.Layers[1].Whole.ToByteArray());
        Assert.Equal((5UL, 70UL), (Assert.Single(message.Views).ViewVersion, message.Views[0].LastStep));
    }
}
