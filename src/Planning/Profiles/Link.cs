namespace LlamaCluster.Planning.Profiles;

/// <summary>A way between two places, as the network gives it; what programs add is in <see cref="Costs.Overheads"/>.</summary>
/// <param name="RoundTripSeconds">Of a small message.</param>
/// <param name="BytesPerSecond">One way.</param>
public readonly record struct Link(double RoundTripSeconds, double BytesPerSecond)
{
    public double OneWaySeconds => RoundTripSeconds / 2;
}
