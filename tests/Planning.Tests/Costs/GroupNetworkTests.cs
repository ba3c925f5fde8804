using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Tests.Costs;

/// <summary>Links of 2 ms there and back, and 1 MB/s; the programs take nothing.</summary>
public sealed class GroupNetworkTests
{
    static readonly Overheads Nothing = new() { HopSeconds = 0, PeerSeconds = 0, ExchangeSeconds = 0 };
    static readonly GroupNetwork Network = new(Clusters.Alike(8, new Link(2e-3, 1e6)), Nothing);

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(1, 3, 3)]   // one sends to three
    [InlineData(2, 4, 2)]   // each of two sends to two
    [InlineData(3, 2, 1)]   // two of three send
    [InlineData(2, 3, 2)]
    public void Ranks_share_the_sending_of_what_all_of_them_hold(int from, int to, int sent)
    {
        var hop = Network.Hop([.. Enumerable.Range(0, from)], [.. Enumerable.Range(from, to)], bytes: 5000);

        Assert.Equal(1e-3 + sent * 5e-3, hop.Transfer, 1e-12);
    }

    [Fact]
    public void Two_ranks_exchange_all_and_more_share_the_adding()
    {
        Assert.Equal(0, Network.SumSeconds([0], 6000, 1));
        Assert.Equal(1e-3 + 6e-3, Network.SumSeconds([0, 1], 6000, 1), 1e-12);
        Assert.Equal(2 * (1e-3 + 2 * 2e-3), Network.SumSeconds([0, 1, 2], 6000, 1), 1e-12);   // two rounds of a third to two others
    }

    [Fact]
    public void A_host_of_its_own_crowds_processors_in_place_of_a_network()
    {
        var alone = new GroupNetwork(Clusters.OneHost(2, 1e9, 1e9, 1), new Overheads { ExchangeSeconds = 10e-6 });

        Assert.Equal(2 * alone.SumSeconds([0, 1], 1e6, crowding: 1) - 15e-6, alone.SumSeconds([0, 1], 1e6, crowding: 2), 1e-9);   // but for the way of 15 us
    }
}
