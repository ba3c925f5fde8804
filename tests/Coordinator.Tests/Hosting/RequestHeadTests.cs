using System.Net;
using System.Net.Sockets;
using System.Text;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Hosting;

/// <summary>Requests as bytes: what the server would refuse in silence gets an answer that says why, and nothing of them is our fault.</summary>
public sealed class RequestHeadTests : IAsyncLifetime
{
    const string Post = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n";
    const string Get = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";

    TestCluster _cluster = null!;

    public async Task InitializeAsync() => _cluster = await TestCluster.StartAsync();

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    [Theory]
    [InlineData("FFFFFFFF\r\n{}\r\n0\r\n\r\n")]
    [InlineData("80000000\r\n{}\r\n0\r\n\r\n")]
    [InlineData("FFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n")]
    [InlineData("-5\r\n{}\r\n0\r\n\r\n")]
    [InlineData("two\r\n{}\r\n0\r\n\r\n")]
    [InlineData("2\r\n{}no\r\n0\r\n\r\n")]
    public async Task A_chunk_whose_size_is_wrong_is_the_clients_error(string chunks)
    {
        var answer = await SendAsync($"{Post}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        Assert.StartsWith("HTTP/1.1 400 ", answer);
        Assert.Contains("\"type\":\"invalid_request_error\"", answer);
    }

    [Fact]
    public async Task A_long_address_is_answered_with_the_limit()
    {
        static string Of(int letters) => $"GET /{new string('a', letters)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        Assert.StartsWith("HTTP/1.1 404 ", await SendAsync(Of(ApiLimits.TargetBytes - 1)));
        var answer = await SendAsync(Of(ApiLimits.TargetBytes));
        Assert.StartsWith("HTTP/1.1 414 ", answer);
        Assert.Contains($"The request's address is longer than {ApiLimits.TargetBytes} bytes.", answer);
    }

    [Fact]
    public async Task Large_headers_are_answered_with_the_limit()
    {
        Assert.StartsWith("HTTP/1.1 200 ", await SendAsync($"{Get}X: {new string('a', ApiLimits.HeaderBytes - 100)}\r\n\r\n"));
        var answer = await SendAsync($"{Get}X: {new string('a', ApiLimits.HeaderBytes)}\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 431 ", answer);
        Assert.Contains($"the most allowed are {ApiLimits.Headers} of {ApiLimits.HeaderBytes} bytes together", answer);
    }

    [Fact]
    public async Task Many_headers_are_answered_with_the_limit()
    {
        static string Headers(int count) => string.Concat(Enumerable.Range(0, count).Select(number => $"X{number}: a\r\n"));
        Assert.StartsWith("HTTP/1.1 200 ", await SendAsync($"{Get}{Headers(ApiLimits.Headers - 2)}\r\n"));
        var answer = await SendAsync($"{Get}{Headers(ApiLimits.Headers)}\r\n");
        Assert.StartsWith("HTTP/1.1 431 ", answer);
        Assert.Contains("request_head_too_large", answer);
    }

    [Fact]
    public async Task Headers_of_any_bytes_are_read()
    {
        var answer = await SendAsync(Encoding.Latin1.GetBytes($"{Get}X-Title: \u00E9\u00FF\r\nX-Request-Id: \u00E9\r\n\r\n"));
        Assert.StartsWith("HTTP/1.1 200 ", answer);
        Assert.Contains("X-Request-Id: req_", answer);
    }

    [Fact]
    public async Task A_host_by_another_name_is_refused_where_only_this_machine_can_call()
        => Assert.StartsWith("HTTP/1.1 403 ", await SendAsync("GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"));

    [Fact]
    public async Task Where_all_can_call_any_name_will_do()
    {
        await using var open = await TestCluster.StartAsync(TestCluster.Options with { Listen = "http://0.0.0.0:0", Insecure = true });
        using var http = new HttpClient { Timeout = WaitExtensions.Deadline };
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{open.Host.ApiAddress.Port}/health");
        request.Headers.Host = "llama.example.com";
        Assert.Equal(HttpStatusCode.OK, (await http.SendAsync(request)).StatusCode);
    }

    [Fact]
    public async Task Localhost_is_both_addresses_of_this_machine()
    {
        Assert.True(Socket.OSSupportsIPv6);
        var port = FreePort();
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { Listen = $"http://localhost:{port}" });
        using var http = new HttpClient { Timeout = WaitExtensions.Deadline };
        foreach (var host in new[] { "127.0.0.1", "[::1]", "localhost" })
            Assert.Equal(HttpStatusCode.OK, (await http.GetAsync($"http://{host}:{port}/health")).StatusCode);
        Assert.Equal(port, cluster.Host.ApiAddress.Port);
    }

    /// <summary>One that nobody had a moment ago: for both addresses the system cannot choose.</summary>
    static int FreePort()
    {
        using var socket = new TcpListener(IPAddress.Loopback, 0);
        socket.Start();
        return ((IPEndPoint)socket.LocalEndpoint).Port;
    }

    Task<string> SendAsync(string request) => SendAsync(Encoding.ASCII.GetBytes(request));

    async Task<string> SendAsync(byte[] request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(_cluster.Host.ApiAddress.Host, _cluster.Host.ApiAddress.Port).WaitAsync(WaitExtensions.Deadline);
        await client.GetStream().WriteAsync(request);
        using var reader = new StreamReader(client.GetStream(), Encoding.UTF8);
        return await reader.ReadToEndAsync().WaitAsync(WaitExtensions.Deadline);
    }
}
