namespace LlamaCluster.Cli.Up;

/// <summary>
/// Watches `dotnet run` if it is the parent of this process. It passes signals on only while it lives, so this process must end if its parent is killed.
/// Only Linux has the files to watch; elsewhere, and with any other parent, this does nothing.
/// </summary>
sealed class DotnetRunWatch : IDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    readonly Timer? _timer;

    DotnetRunWatch(Timer? timer) => _timer = timer;

    /// <param name="gone">Called once `dotnet run` has gone.</param>
    public static DotnetRunWatch Start(Action gone)
    {
        if (!OperatingSystem.IsLinux() || !IsDotnetRun(ParentId())) return new(null);
        var parent = ParentId();
        return new(new Timer(_ =>
        {
            if (ParentId() != parent) gone();
        }, null, Interval, Interval));
    }

    public void Dispose() => _timer?.Dispose();

    /// <summary>The second field after the name. The name is in parentheses and may contain any character (proc_pid_stat(5)).</summary>
    static int ParentId()
    {
        var stat = File.ReadAllText("/proc/self/stat");
        return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1]);
    }

    static bool IsDotnetRun(int process)
    {
        try
        {
            var arguments = File.ReadAllText($"/proc/{process}/cmdline").Split('\0');
            return arguments.Length > 1 && Path.GetFileName(arguments[0]) == "dotnet" && arguments.Contains("run");
        }
        catch (IOException)
        {
            return false;   // it has ended, or this user may not see it
        }
    }
}
