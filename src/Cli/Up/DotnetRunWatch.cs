namespace LlamaCluster.Cli.Up;

/// <summary>
/// `dotnet run` stands between a user and this process, and passes on signals only while it lives. Where this process was started by it and
/// it is killed, this one must end too. On Linux; elsewhere, and where something else is the parent, there is nothing to watch.
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

    /// <summary>Second field after the name, which is in parentheses and may hold anything (proc_pid_stat(5)).</summary>
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
            return false; // gone already, or hidden from this user
        }
    }
}
