using System.Globalization;

namespace LlamaCluster.Worker;

/// <summary>
/// What the control groups of this process let it have: the least limit of its own group and of all above it. A container's limit is one. The
/// runtime's own figure (<see cref="GCMemoryInfo.TotalAvailableMemoryBytes"/>) is three quarters of that, since it speaks of managed memory.
/// <para>
/// Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max, memory.stat) and
/// https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (memory.limit_in_bytes, memory.stat).
/// </para>
/// </summary>
/// <param name="Limit">Bytes.</param>
/// <param name="Used">Bytes that all processes under that limit hold and that the system cannot take back: anonymous memory and files in memory.</param>
sealed record ContainerMemory(long Limit, long Used)
{
    /// <summary>Above this a limit is none: cgroup v1 writes the largest number of pages for it.</summary>
    const long NoLimit = 1L << 60;

    /// <returns>Null where there is no limit, or no control groups.</returns>
    public static ContainerMemory? OfThisProcess() => OperatingSystem.IsLinux() ? Read("/") : null;

    /// <param name="root">The folder in which proc and sys are.</param>
    internal static ContainerMemory? Read(string root)
    {
        var groups = Lines(Path.Combine(root, "proc/self/cgroup"));
        ContainerMemory? least = null;
        foreach (var mount in Lines(Path.Combine(root, "proc/self/mountinfo")).Select(CgroupMount.TryParse).OfType<CgroupMount>())
            if (groups.Select(mount.FolderOf).FirstOrDefault(folder => folder is not null) is { } folder)
                foreach (var found in Upwards(root, mount, folder))
                    if (least is null || found.Limit < least.Limit) least = found;
        return least;
    }

    static IEnumerable<ContainerMemory> Upwards(string root, CgroupMount mount, string folder)
    {
        var top = Path.Combine(root, mount.Point.TrimStart('/'));
        for (var group = Path.Combine(top, folder); group.Length >= top.Length; group = Path.GetDirectoryName(group)!)
            if (LimitOf(Path.Combine(group, mount.IsV2 ? "memory.max" : "memory.limit_in_bytes")) is { } limit)
                yield return new ContainerMemory(limit, UsedIn(Path.Combine(group, "memory.stat"), mount.IsV2 ? "" : "total_"));
    }

    /// <returns>Null if the file says "max", is not there or has no number.</returns>
    static long? LimitOf(string file) => Lines(file) is [var line, ..] && Number(line) is > 0 and < NoLimit and var limit ? limit : null;

    /// <param name="prefix">Before the names of figures that count the groups below too. Those of v2 always do.</param>
    static long UsedIn(string file, string prefix)
    {
        string[] names = prefix.Length == 0 ? ["anon", "shmem"] : [prefix + "rss", prefix + "shmem"];
        return Lines(file).Select(line => line.Split(' ')).Where(words => words.Length == 2 && names.Contains(words[0])).Sum(words => Number(words[1]) ?? 0);
    }

    static long? Number(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <returns>No lines if it cannot be read: a system that shows no control groups has no limits that could be kept.</returns>
    static string[] Lines(string file)
    {
        try
        {
            return File.Exists(file) ? File.ReadAllLines(file) : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}

/// <summary>Where a hierarchy of control groups can be read.</summary>
/// <param name="Root">The group that is seen at <paramref name="Point"/>. In a container of cgroup v1 it is the container's own.</param>
/// <param name="Point">A folder.</param>
sealed record CgroupMount(string Root, string Point, bool IsV2)
{
    /// <param name="line">Of /proc/self/mountinfo: id, parent, device, root, mount point, options, further fields, "-", type, source, options.</param>
    /// <returns>Null if the line is of something else than control groups that limit memory.</returns>
    public static CgroupMount? TryParse(string line)
    {
        var words = line.Split(' ');
        var end = Array.IndexOf(words, "-");
        if (end < 6 || words.Length < end + 4) return null;
        var isV2 = words[end + 1] == "cgroup2";
        return isV2 || (words[end + 1] == "cgroup" && words[end + 3].Split(',').Contains("memory")) ? new(words[3], words[4], isV2) : null;
    }

    /// <param name="group">A line of /proc/self/cgroup: number of the hierarchy, its controllers, path of the process's group.</param>
    /// <returns>The group's folder, relative to the mount point; null if the line is of another hierarchy.</returns>
    public string? FolderOf(string group)
    {
        if (group.Split(':', 3) is not [var number, var controllers, var path]) return null;
        if (IsV2 ? number != "0" || controllers.Length > 0 : !controllers.Split(',').Contains("memory")) return null;
        // A group outside of what is mounted is shown as "/..", or with the host's path: then the mount point itself is the nearest that can be read.
        if (path.StartsWith("/..", StringComparison.Ordinal)) return "";
        if (Root == "/") return path.Trim('/');
        return path == Root || path.StartsWith(Root + "/", StringComparison.Ordinal) ? path[Root.Length..].Trim('/') : "";
    }
}
