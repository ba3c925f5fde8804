using Grpc.Core;
using Grpc.Net.Client;

namespace LlamaCluster.Compat.Tests;

/// <summary>The official client and server, talking over our contract assemblies.</summary>
public sealed class CallTests
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Unary_returns_message_headers_and_trailers()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = server.Channel();
        byte[] bytes = [0, 1, 254, 255];
        using var call = new Echo.EchoClient(channel).SayAsync(new EchoMessage { Text = "grüezi" }, new Metadata { { "echo-bin", bytes } }, DateTime.UtcNow + Deadline);

        var headers = await call.ResponseHeadersAsync;
        Assert.Equal("grüezi", (await call).Text);
        Assert.Equal("/llamacluster.compat.tests.Echo/Say", headers.GetValue("echo-method"));
        Assert.Equal(bytes, call.GetTrailers().GetValueBytes("echo-bin"));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Blocking_unary_works()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = server.Channel();
        Assert.Equal("x", new Echo.EchoClient(channel).Say(new EchoMessage { Text = "x" }, deadline: DateTime.UtcNow + Deadline).Text);
    }

    [Fact]
    public async Task Client_streaming_joins()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = server.Channel();
        using var call = new Echo.EchoClient(channel).Join(deadline: DateTime.UtcNow + Deadline);
        foreach (var text in (string[])["a", "b", "c"]) await call.RequestStream.WriteAsync(new EchoMessage { Text = text });
        await call.RequestStream.CompleteAsync();
        Assert.Equal("a b c", (await call).Text);
    }

    [Fact]
    public async Task Server_streaming_repeats()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = server.Channel();
        using var call = new Echo.EchoClient(channel).Repeat(new EchoMessage { Text = "r", Times = 100 }, deadline: DateTime.UtcNow + Deadline);
        var seen = new List<int>();
        await foreach (var message in call.ResponseStream.ReadAllAsync()) seen.Add(message.Times);
        Assert.Equal(Enumerable.Range(0, 100), seen);
    }

    [Fact]
    public async Task Duplex_answers_each_message_before_the_next_is_sent()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = server.Channel();
        using var call = new Echo.EchoClient(channel).Talk(deadline: DateTime.UtcNow + Deadline);
        foreach (var text in (string[])["one", "two"])
        {
            await call.RequestStream.WriteAsync(new EchoMessage { Text = text });
            Assert.True(await call.ResponseStream.MoveNext());
            Assert.Equal(text.ToUpperInvariant(), call.ResponseStream.Current.Text);
        }
        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext());
    }

    [Fact]
    public async Task A_failure_carries_status_detail_and_trailers()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = server.Channel();
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).FailAsync(new EchoMessage { Text = "no" }, deadline: DateTime.UtcNow + Deadline));
        Assert.Equal(StatusCode.FailedPrecondition, failure.StatusCode);
        Assert.Equal("no", failure.Status.Detail);
        Assert.Equal("asked for", failure.Trailers.GetValue("why"));
    }

    [Fact]
    public async Task Cancelling_reaches_the_server()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = server.Channel();
        using var cancel = new CancellationTokenSource();
        var call = new Echo.EchoClient(channel).HangAsync(new EchoMessage(), cancellationToken: cancel.Token);
        await server.Signals.HangStarted.Task.WaitAsync(Deadline);
        await cancel.CancelAsync();
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await call);
        Assert.Equal(StatusCode.Cancelled, failure.StatusCode);
        await server.Signals.HangCancelled.Task.WaitAsync(Deadline);
    }

    [Fact]
    public async Task A_deadline_ends_the_call_on_both_sides()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = server.Channel();
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).HangAsync(new EchoMessage(), deadline: DateTime.UtcNow.AddMilliseconds(300)));
        Assert.Equal(StatusCode.DeadlineExceeded, failure.StatusCode);
        await server.Signals.HangCancelled.Task.WaitAsync(Deadline);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a text that is long enough to be worth it, a text that is long enough to be worth it")]
    public async Task Gzip_compression_keeps_messages_also_empty_ones(string text)
    {
        await using var server = await EchoServer.StartAsync(options => options.ResponseCompressionAlgorithm = "gzip");
        using var channel = server.Channel();
        var headers = new Metadata { { "grpc-internal-encoding-request", "gzip" } };
        Assert.Equal(text, (await new Echo.EchoClient(channel).SayAsync(new EchoMessage { Text = text }, headers, DateTime.UtcNow + Deadline)).Text);
    }

    [Fact]
    public async Task A_dead_server_is_unavailable()
    {
        GrpcChannel channel;
        await using (var server = await EchoServer.StartAsync()) channel = server.Channel();
        using (channel)
        {
            var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).SayAsync(new EchoMessage(), deadline: DateTime.UtcNow + Deadline));
            Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        }
    }
}
