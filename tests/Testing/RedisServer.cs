using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Xunit;

namespace LlamaCluster.Testing;

/// <summary>A test that runs Debian's redis-server. Without it the test is reported as not run, with the reason.</summary>
public sealed class RedisFactAttribute : FactAttribute
{
    public RedisFactAttribute()
    {
        if (!RedisServer.IsInstalled) Skip = "not run: redis-server is not on the PATH (apt install redis-server)";
    }
}

/// <summary>
/// A Redis server on a free port of this machine, which goes away with the test. It keeps what it has over restarts, as appendfsync=always does.
/// </summary>
public sealed class RedisServer : IDisposable
{
    readonly TempFolder _folder = new();
    readonly int _port = FreePort();
    Process? _process;

    public static bool IsInstalled { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, "redis-server")));

    public string Url => $"redis://127.0.0.1:{_port}";

    public static RedisServer Start()
    {
        var server = new RedisServer();
        server.Run();
        return server;
    }

    /// <summary>One that is not there yet.</summary>
    public static RedisServer Later() => new();

    public void Run()
    {
        var start = new ProcessStartInfo("redis-server",
        [
            "--port", $"{_port}", "--bind", "127.0.0.1", "--dir", _folder.Path,
            "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no",
        ])
        {
            RedirectStandardOutput = true,
        };
        _process = Process.Start(start)!;
        while (_process.StandardOutput.ReadLine() is { } line)
            if (line.Contains("Ready to accept connections", StringComparison.Ordinal)) return;
        throw new InvalidOperationException("redis-server ended at its start");
    }

    public void Kill()
    {
        _process?.Kill();
        _process?.WaitForExit();
        _process?.Dispose();
        _process = null;
    }

    public void Dispose()
    {
        Kill();
        _folder.Dispose();
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
