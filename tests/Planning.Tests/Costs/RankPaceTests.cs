using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Tests.Costs;

public sealed class RankPaceTests
{
    static readonly TypedWeights Weights = new("Q4_0", 32e9, 18e9);
    static readonly Overheads Overheads = new() { WeightReading = 1 };

    [Fact]
    public void Memory_and_processors_add_up_like_sides_of_a_right_angle()
    {
        // Read in 3 s; multiplied by one row in 4 s, by four rows in 8 s.
        var pace = PaceOf(new ProductPace(8e9, 16e9), new HostUse(1, 1, 1));

        Assert.Equal(new TimeParts { Arithmetic = 5 }, pace.Product(Weights, 1, rows: 1));
        Assert.Equal(double.Hypot(3, 8), pace.Product(Weights, 1, rows: 4).Arithmetic, 1e-9);
        Assert.Equal(2.5, pace.Product(Weights, 0.5, rows: 1).Total, 1e-9);
    }

    [Fact]
    public void Neighbours_take_their_part_of_memory_and_of_processors()
    {
        // Two read 36 GB/s from the 9 GB/s of the host: 4 s of 18 GB; three turns of a second.
        Assert.Equal(5, PaceOf(new ProductPace(32e9, 320e9), new HostUse(2, 1, 3), hostRead: 9e9).Product(Weights, 1, rows: 1).Total, 1e-9);
        Assert.Equal(2, PaceOf(new ProductPace(32e9, 320e9), new HostUse(2, 2, 2)).Program(1).Total);
    }

    [Fact]
    public void Experts_are_multiplied_by_their_own_rows()
    {
        var pace = PaceOf(new ProductPace(8e9, 16e9), new HostUse(1, 1, 1));

        Assert.Equal(double.Hypot(3, 5), pace.Product(Weights, 1, rows: 2.5).Arithmetic, 1e-9);
    }

    [Fact]
    public void A_type_that_was_not_measured_is_as_fast_as_the_usual_one()
    {
        var worker = Clusters.Worker(0, multiplyAdds: 260e9);

        Assert.Equal(260e9, worker.PaceOf("IQ1_S").ManyRows);
        Assert.Equal(100e9, worker.PaceOf("IQ1_S").OneRow, 1);
    }

    static RankPace PaceOf(ProductPace pace, HostUse use, double hostRead = 0)
    {
        var worker = Clusters.Worker(0, read: 6e9) with { Paces = new Dictionary<string, ProductPace> { ["Q4_0"] = pace } };
        var cluster = new ClusterProfile([worker], [new HostProfile("host", 0, hostRead, 0)], new LinkTable(1, (_, _) => Clusters.Fast, _ => Clusters.Fast));
        return new RankPace(cluster, 0, use, Overheads);
    }
}
