using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Profiling;

/// <summary>What was measured of this machine: rates per second, of the worker's threads unless it says host.</summary>
sealed record MachineProfile(double ReadBytes, double MultiplyAdds, double HostReadBytes, double HostMultiplyAdds, int HostProcessors, IReadOnlyList<TypePace> Paces)
{
    /// <summary>Numbers that a machine may have; what is read from a file need not.</summary>
    public bool IsSound => IsRate(ReadBytes) && IsRate(MultiplyAdds) && IsRate(HostReadBytes) && IsRate(HostMultiplyAdds) && HostProcessors is > 0 and < 1 << 16
        && Paces is { Count: < 100 } && Paces.All(pace => pace is { Type.Length: > 0 and < 32 } && IsRate(pace.OneRow) && IsRate(pace.ManyRows));

    public Profile ToMessage(string hostId) => new()
    {
        MemoryReadBytesPerSecond = ReadBytes,
        MultiplyAddsPerSecond = MultiplyAdds,
        HostId = hostId,
        HostProcessors = (uint)HostProcessors,
        HostMemoryReadBytesPerSecond = HostReadBytes,
        HostMultiplyAddsPerSecond = HostMultiplyAdds,
        Paces = { Paces.Select(pace => new ProductPace { TensorType = pace.Type, OneRowPerSecond = pace.OneRow, ManyRowsPerSecond = pace.ManyRows }) },
    };

    static bool IsRate(double value) => value > 0 && double.IsFinite(value);
}
