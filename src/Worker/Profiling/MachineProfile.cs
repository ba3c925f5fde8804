using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Profiling;

/// <summary>Measured rates of this machine, per second. They are those of the worker's threads, unless the name says host.</summary>
sealed record MachineProfile(
    double ReadBytes, double MultiplyAdds, double HostReadBytes, double HostMultiplyAdds, int HostProcessors, IReadOnlyList<TypePace> Paces)
{
    /// <summary>Whether a machine can have these numbers. A file may hold others.</summary>
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

/// <summary>Multiply-adds per second with weights of one type; see ProductPace in membership.proto.</summary>
sealed record TypePace(string Type, double OneRow, double ManyRows);

/// <summary>Names for this machine, and for measurements on it that can be compared.</summary>
static class Hardware
{
    /// <summary>The same for all processes of a running machine, in containers too. The kernel makes a new one at each start.</summary>
    public static string HostId { get; } = FirstLine("/proc/sys/kernel/random/boot_id") ?? Environment.MachineName;

    /// <summary>Grows when other numbers are measured, or in another way.</summary>
    const int Method = 4;

    /// <summary>A name for measurements with these threads, on this kind of machine, by this software: 32 hex digits.</summary>
    public static string MeasurementKey(int threads, string instructionSet, string softwareVersion)
    {
        var cpu = File.Exists("/proc/cpuinfo")
            ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))
            : null;
        var memory = FirstLine("/proc/meminfo");
        var text = string.Join('\n', Method, Environment.MachineName, cpu, memory, Environment.ProcessorCount, threads, instructionSet, softwareVersion);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..32];
    }

    static string? FirstLine(string file) => File.Exists(file) && File.ReadLines(file).FirstOrDefault() is { Length: > 0 } line ? line.Trim() : null;
}
