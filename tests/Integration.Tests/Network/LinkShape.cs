using System.Globalization;

namespace LlamaCluster.Integration.Tests.Network;

/// <summary>What a link between two machines is like.</summary>
/// <param name="OneWay">What every packet takes at the least.</param>
/// <param name="BitsPerSecond">That a machine can receive.</param>
sealed record LinkShape(TimeSpan OneWay, double BitsPerSecond)
{
    /// <summary>How likely a packet is lost.</summary>
    public double Loss { get; init; }

    /// <summary>How likely a packet comes twice.</summary>
    public double Duplicates { get; init; }

    /// <summary>What tc netem is told to do at each end of a machine's cable. From machine to machine a packet passes two: half of the way each.</summary>
    public string[] Netem => string.Create(CultureInfo.InvariantCulture,
        $"netem delay {OneWay.TotalMicroseconds / 2:0}us rate {BitsPerSecond:0}bit loss {50 * Loss:0.####}% duplicate {50 * Duplicates:0.####}%").Split(' ');
}
