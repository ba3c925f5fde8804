using System.Net;
using System.Net.Sockets;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>An address that cannot be listened on ends every command that listens, with exit code 1 and one line.</summary>
public sealed class ListenTests : IDisposable
{
    /// <summary>For documents (RFC 5737): no machine's own.</summary>
    const string Foreign = "http://192.0.2.1:8080";

    const string NoSuchAddress = $"cannot listen on {Foreign}: this machine has no such address";

    readonly TcpListener _other = new(IPAddress.Loopback, 0);

    public ListenTests() => _other.Start();

    public void Dispose() => _other.Dispose();

    string Taken => $"http://{_other.LocalEndpoint}";

    [Fact]
    public Task Up_on_a_port_in_use()
        => ExpectAsync($"cannot listen on {Taken}: address already in use", "up", "--port", $"{((IPEndPoint)_other.LocalEndpoint).Port}");

    [Fact]
    public async Task Coordinator()
    {
        await ExpectAsync($"cannot listen on {Taken}: address already in use", "coordinator", "--listen", Taken, "--grpc-listen", "http://127.0.0.1:0");
        await ExpectAsync($"cannot listen on {Taken}: address already in use", "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", Taken);
        await ExpectAsync(NoSuchAddress, "coordinator", "--listen", Foreign, "--grpc-listen", "http://127.0.0.1:0", "--insecure");
    }

    [Fact]
    public async Task Worker()
    {
        await ExpectAsync($"cannot listen on {Taken}: address already in use", "worker", "--coordinator", "http://127.0.0.1:1", "--listen", Taken);
        await ExpectAsync(NoSuchAddress, "worker", "--coordinator", "http://127.0.0.1:1", "--listen", Foreign, "--insecure");
    }

    static async Task ExpectAsync(string expected, params string[] args)
    {
        await using var process = CliProcess.Start(args);
        Assert.Equal(1, await process.ExitAsync());
        Assert.Contains(expected, Assert.Single(process.Log.Split('\n')));
    }
}
