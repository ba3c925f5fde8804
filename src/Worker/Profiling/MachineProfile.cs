using System.Security.Cryptography;
using System.Text;
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

/// <summary>Multiply-adds per second with weights of one type; see ProductPace in membership.proto.</summary>
sealed record TypePace(string Type, double OneRow, double ManyRows);

/// <summary>Tells machines apart, and what on them makes measurements comparable.</summary>
static class Hardware
{
    /// <summary>The same for all processes of a running machine, in containers too: the kernel makes it anew at each start.</summary>
    public static string HostId { get; } = FirstLine("/proc/sys/kernel/random/boot_id") ?? Environment.MachineName;

    /// <summary>Which numbers are measured, and how.</summary>
    const int Method = 2;

    /// <summary>A name for measurements of these threads on this kind of machine by this software: 32 hex digits.</summary>
    public static string MeasurementKey(int threads, string instructionSet, string softwareVersion)
    {
        var cpu = File.Exists("/proc/cpuinfo") ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal)) : null;
        var memory = FirstLine("/proc/meminfo");
        var text = string.Join('\n', Method, Environment.MachineName, cpu, memory, Environment.ProcessorCount, threads, instructionSet, softwareVersion);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..32];
    }

    static string? FirstLine(string file) => File.Exists(file) && File.ReadLines(file).FirstOrDefault() is { Length: > 0 } line ? line.Trim() : null;
}
