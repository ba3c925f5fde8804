namespace LlamaCluster.Primitives.Tests;

public sealed class IndexRangeTests
{
    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(3, 4, 7)]
    [InlineData(0, 0, 0)]
    [InlineData(0, int.MaxValue, int.MaxValue)]
    [InlineData(int.MaxValue, 0, int.MaxValue)]
    public void The_end_is_the_index_after_the_last(int first, int count, int end)
        => Assert.Equal(end, new IndexRange(first, count).End);

    [Theory]
    [InlineData(1, int.MaxValue)]
    [InlineData(int.MaxValue, 1)]
    [InlineData(int.MaxValue, int.MaxValue)]
    public void An_end_beyond_all_integers_is_an_error_and_not_a_negative_number(int first, int count)
        => Assert.Throws<OverflowException>(() => new IndexRange(first, count).End);

    [Theory]
    [InlineData(0, 8)]
    [InlineData(0, 1)]
    [InlineData(7, 1)]
    [InlineData(3, 5)]
    public void A_range_up_to_the_total_is_within_it(int first, int count)
        => Assert.True(new IndexRange(first, count).IsWithin(8));

    [Theory]
    [InlineData(0, 9)]
    [InlineData(8, 1)]
    [InlineData(7, 2)]
    [InlineData(9, 1)]
    [InlineData(0, 0)]
    [InlineData(8, 0)]
    [InlineData(2, -1)]
    [InlineData(-1, 1)]
    [InlineData(-1, 2)]
    [InlineData(int.MinValue, 1)]
    [InlineData(0, int.MaxValue)]
    [InlineData(1, int.MaxValue)]
    [InlineData(int.MaxValue, int.MaxValue)]
    [InlineData(int.MaxValue, int.MinValue)]
    public void A_range_that_is_empty_or_begins_before_or_ends_after_the_total_is_not(int first, int count)
        => Assert.False(new IndexRange(first, count).IsWithin(8));

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void Nothing_is_within_an_empty_total(int total)
        => Assert.All([new IndexRange(0, 0), new IndexRange(0, 1), new IndexRange(1, 1)], range => Assert.False(range.IsWithin(total)));

    [Fact]
    public void Every_small_range_is_within_exactly_if_all_its_indices_are()
    {
        for (var total = 0; total <= 6; total++)
            for (var first = -2; first <= 8; first++)
                for (var count = 1; count <= 8; count++)
                    Assert.Equal(Enumerable.Range(first, count).All(index => index >= 0 && index < total), new IndexRange(first, count).IsWithin(total));
    }
}
