namespace LlamaCluster.Cli.Planning;

/// <summary>A processor that a cluster file can name in place of its figures; all of one socket.</summary>
/// <param name="PeakBytesPerSecond">All memory channels, as the maker states them or as channels x transfers x 8 bytes.</param>
/// <param name="CoreMultiplyAddsPerSecond">Of one core, with this program's products of bytes; see <see cref="Devices"/>.</param>
sealed record Device(string Name, int Cores, double PeakBytesPerSecond, double CoreMultiplyAddsPerSecond)
{
    /// <summary>What plain reads reach of the peak: 75 to 85 % is usual for a socket whose cores all read.</summary>
    const double ReadShare = 0.8;

    public double ReadBytesPerSecond => ReadShare * PeakBytesPerSecond;

    public double MultiplyAddsPerSecond => Cores * CoreMultiplyAddsPerSecond;
}
