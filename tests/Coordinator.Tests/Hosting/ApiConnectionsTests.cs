using System.Net;
using System.Text;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Hosting;

/// <summary>Connections of clients while the coordinator stops.</summary>
public sealed class ApiConnectionsTests
{
    const string Ask = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const string Closes = "Connection: close";
    const string EndOfHead = "\r\n\r\n";
    const string EndOfStream = "\r\n0\r\n\r\n";

    [Fact]
    public async Task A_request_after_a_stream_that_outlived_the_stop_is_answered_and_then_its_connection_closes()
    {
        var options = TestCluster.Options with { Deadlines = TestCluster.Options.Deadlines with { Shutdown = WaitExtensions.Deadline } };
        await using var cluster = await TestCluster.StartReadyAsync(1, options);
        using var clients = new RawConnections(new IPEndPoint(IPAddress.Loopback, cluster.Host.ApiAddress.Port));
        var held = cluster.Workers[0].HoldSteps();
        var stream = await clients.OpenAsync(Post("""{"prompt":"Once upon a time","max_tokens":8,"stream":true,"ignore_eos":true}"""));
        await held.Reached;
        Assert.True(await RawConnections.SaysAsync(stream, EndOfHead));

        var stopping = cluster.Host.StopAsync();
        Assert.Contains(Closes, await RawConnections.HungUpAsync(await clients.OpenAsync(Ask)));
        held.Go();

        Assert.True(await RawConnections.SaysAsync(stream, EndOfStream));
        await stream.WriteAsync(Encoding.ASCII.GetBytes(Ask));
        var last = await RawConnections.HungUpAsync(stream);
        Assert.Contains("200 OK", last);
        Assert.Contains(Closes, last);
        await stopping.WaitAsync(WaitExtensions.Deadline);
    }

    [Fact]
    public async Task Answers_do_not_close_their_connection_before()
    {
        await using var cluster = await TestCluster.StartAsync();
        using var clients = new RawConnections(new IPEndPoint(IPAddress.Loopback, cluster.Host.ApiAddress.Port));
        var connection = await clients.OpenAsync(Ask);
        Assert.True(await RawConnections.SaysAsync(connection, "alive"));
        await connection.WriteAsync(Encoding.ASCII.GetBytes(Ask));
        Assert.True(await RawConnections.SaysAsync(connection, "alive"));
    }

    static string Post(string body)
        => $"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}";
}
