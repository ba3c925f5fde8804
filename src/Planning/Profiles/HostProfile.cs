namespace LlamaCluster.Planning.Profiles;

/// <summary>A machine, whose processors and memory its workers share while they work at the same time.</summary>
/// <param name="Processors">0: enough for all its workers.</param>
/// <param name="ReadBytesPerSecond">Of all its memory together; 0: enough for all its workers.</param>
/// <param name="MultiplyAddsPerSecond">Of all its processors together; 0: enough for all its workers.</param>
public sealed record HostProfile(string Name, int Processors, double ReadBytesPerSecond, double MultiplyAddsPerSecond)
{
    public static HostProfile WithoutLimits(string name) => new(name, 0, 0, 0);
}
