using System.Globalization;

namespace LlamaCluster.Cli.Doctor;

/// <summary>What the kernel says of this machine in its files. Nothing is said where there are no such files, as on other systems than Linux.</summary>
/// <param name="root">The folder that they are in; a test has its own.</param>
sealed class MachineFiles(string root = "/")
{
    const string Groups = "sys/fs/cgroup";

    /// <summary>The file's text without its last line break; null if there is none, or it may not be read.</summary>
    public string? Read(string path)
    {
        try
        {
            var file = Path.Combine(root, path);
            return File.Exists(file) ? File.ReadAllText(file).Trim() : null;
        }
        catch (Exception closed) when (closed is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>A field of /proc/meminfo, in bytes.</summary>
    public long? Memory(string field)
    {
        var line = Read("proc/meminfo")?.Split('\n').FirstOrDefault(line => line.StartsWith($"{field}:", StringComparison.Ordinal));
        return line?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var number, ..]
            && long.TryParse(number, CultureInfo.InvariantCulture, out var kibibytes)
                ? 1024 * kibibytes : null;
    }

    /// <summary>The least limit of memory of this process's control groups; null: there is none.</summary>
    public long? MemoryLimit()
    {
        var limits = OfGroups("memory.max").Append(Read($"{Groups}/memory/memory.limit_in_bytes"))
            .Select(text => long.TryParse(text, CultureInfo.InvariantCulture, out var bytes) ? bytes : long.MaxValue).ToList();
        return limits.Min() is var least && least < (Memory("MemTotal") ?? long.MaxValue) ? least : null;
    }

    /// <summary>The least quota of processors of this process's control groups; null: there is none.</summary>
    public double? ProcessorQuota()
    {
        var quotas = OfGroups("cpu.max").Select(text => text?.Split(' ')).Select(parts =>
            parts is [var quota, var period]
            && double.TryParse(quota, CultureInfo.InvariantCulture, out var allowed)
            && double.TryParse(period, CultureInfo.InvariantCulture, out var of) && of > 0
                ? allowed / of : double.MaxValue).ToList();
        return quotas.Min() is var least && least < double.MaxValue ? least : null;
    }

    /// <summary>The file of this process's group and of all groups around it (version 2 of control groups).</summary>
    IEnumerable<string?> OfGroups(string file)
    {
        var own = Read("proc/self/cgroup")?.Split('\n').FirstOrDefault(line => line.StartsWith("0::", StringComparison.Ordinal))?["0::/".Length..] ?? "";
        for (var group = own; ; group = Path.GetDirectoryName(group) ?? "")
        {
            yield return Read(Path.Combine(Groups, group, file));
            if (group.Length == 0) yield break;
        }
    }
}
