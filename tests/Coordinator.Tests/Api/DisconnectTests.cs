using System.Net.Sockets;
using System.Text;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Clients that go away, or that read slowly.</summary>
public sealed class DisconnectTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Leaving_a_stream_cancels_its_sequence()
    {
        _api.Engine.Script = _ => EndlessStream.After(Answers.Of("Hello").SkipLast(1));
        using (var client = await SendAsync("""{"messages":[{"role":"user","content":"Hi"}],"stream":true}"""))
            await ReadUntilAsync(client, "\"content\":\"Hello\"");
        await _api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
    }

    [Fact]
    public async Task Leaving_before_the_answer_cancels_all_choices()
    {
        var waiting = new SemaphoreSlim(0);
        _api.Engine.Script = _ =>
        {
            waiting.Release();
            return EndlessStream.After([]);
        };
        using (await SendAsync("""{"messages":[{"role":"user","content":"Hi"}],"n":2}"""))
        {
            Assert.True(await waiting.WaitAsync(ApiHost.Deadline));
            Assert.True(await waiting.WaitAsync(ApiHost.Deadline));
        }
        await _api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
    }

    [Fact]
    public async Task A_client_that_stops_reading_holds_its_sequence_back_and_leaving_ends_it()
    {
        _api.Engine.Script = _ => Forever();
        using (var client = await SendAsync("""{"messages":[{"role":"user","content":"Hi"}],"stream":true}"""))
            await ReadUntilAsync(client, "data: ");
        await _api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
    }

    [Fact]
    public async Task A_slow_reader_loses_nothing()
    {
        const int tokens = 20_000;
        _api.Engine.Script = _ => Enumerable.Repeat<SequenceEvent>(Answers.Token(65), tokens).Append(new SequenceEvent.Finished(FinishReason.Length)).ToAsyncEnumerable();
        using var client = await SendAsync("""{"messages":[{"role":"user","content":"Hi"}],"stream":true}""");
        var body = await ReadUntilAsync(client, "[DONE]");
        Assert.Equal(tokens + 1, body.Split("\"delta\":{\"content\":").Length);
    }

    static IAsyncEnumerable<SequenceEvent> Forever()
    {
        return Tokens().ToAsyncEnumerable();

        static IEnumerable<SequenceEvent> Tokens()
        {
            while (true) yield return Answers.Token(65);
        }
    }

    async Task<TcpClient> SendAsync(string body)
    {
        var client = new TcpClient();
        await client.ConnectAsync(_api.Http.BaseAddress!.Host, _api.Http.BaseAddress.Port);
        var request = $"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}";
        await client.GetStream().WriteAsync(Encoding.UTF8.GetBytes(request));
        return client;
    }

    static async Task<string> ReadUntilAsync(TcpClient client, string end)
    {
        using var deadline = new CancellationTokenSource(ApiHost.Deadline);
        var (text, buffer) = (new StringBuilder(), new byte[777]);
        while (!text.ToString(Math.Max(0, text.Length - buffer.Length - end.Length), Math.Min(text.Length, buffer.Length + end.Length)).Contains(end))
        {
            var count = await client.GetStream().ReadAsync(buffer, deadline.Token);
            Assert.NotEqual(0, count);
            text.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }
        return text.ToString();
    }
}
