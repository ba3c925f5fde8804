using LlamaCluster.Testing;

namespace LlamaCluster.Deployment.Tests.Memory;

/// <summary>A control group of this machine with a memory limit, as a container runtime makes one. Its processes must have ended when it goes.</summary>
sealed class MemoryLimit : IDisposable
{
    const string V1 = "/sys/fs/cgroup/memory";
    const string V2 = "/sys/fs/cgroup";

    readonly string _folder;
    readonly bool _isV2;

    public MemoryLimit(long bytes)
    {
        _isV2 = !Directory.Exists(V1);
        _folder = Path.Combine(_isV2 ? V2 : V1, $"llamacluster-test-{Guid.NewGuid():N}");
        Directory.CreateDirectory(_folder);
        Write(_isV2 ? "memory.max" : "memory.limit_in_bytes", $"{bytes}");
    }

    /// <summary>Why there can be none here; null if there can.</summary>
    public static string? Problem
    {
        get
        {
            try
            {
                new MemoryLimit(1L << 30).Dispose();
                return null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return $"not run: no control group with a memory limit can be made here: {e.Message}";
            }
        }
    }

    /// <summary>Starts a program in this group.</summary>
    public string[] Runner => ["sh", "-c", $"echo $$ > {_folder}/cgroup.procs && exec \"$@\"", "sh"];

    /// <summary>How many processes were killed for want of memory.</summary>
    public long Kills => File.ReadLines(Path.Combine(_folder, _isV2 ? "memory.events" : "memory.oom_control"))
        .Where(line => line.StartsWith("oom_kill ", StringComparison.Ordinal)).Select(line => long.Parse(line.Split(' ')[1])).Single();

    public void Dispose() => Directory.Delete(_folder);

    void Write(string file, string text) => File.WriteAllText(Path.Combine(_folder, file), text);
}

/// <summary>A test that needs a <see cref="MemoryLimit"/>.</summary>
public sealed class MemoryLimitFactAttribute : FactAttribute
{
    static readonly Lazy<string?> Found = new(() => MemoryLimit.Problem);

    public MemoryLimitFactAttribute() => Skip = Found.Value;
}
