using System.Globalization;

namespace LlamaCluster.Integration.Tests.Network;

/// <summary>What a link between two machines is like.</summary>
/// <param name="OneWay">What every packet takes at the least.</param>
/// <param name="BitsPerSecond">That a machine can receive.</param>
sealed record LinkShape(TimeSpan OneWay, double BitsPerSecond)
{
    /// <summary>What tc netem is told to do at each end of a machine's cable. From machine to machine a packet passes two: half of the way each.</summary>
    public string[] Netem => string.Create(CultureInfo.InvariantCulture, $"netem delay {OneWay.TotalMicroseconds / 2:0}us rate {BitsPerSecond:0}bit").Split(' ');
}
