using System.Security.Cryptography;
using System.Text;

namespace LlamaCluster.Worker.Profiling;

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
