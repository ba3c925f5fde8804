using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Endpoints;
using LlamaCluster.Coordinator.Generation;
using Microsoft.Extensions.Time.Testing;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>When a stream opens, what it says while nothing comes, and clients that go away or read slowly.</summary>
public sealed class StreamTests : IAsyncLifetime
{
    const string Path = "/v1/chat/completions";

    readonly FakeTimeProvider _time = new();
    readonly Channel<SequenceEvent> _events = Channel.CreateUnbounded<SequenceEvent>();
    readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync(time: _time);

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Headers_go_out_although_the_engine_is_silent_and_comments_follow_whenever_it_is()
    {
        var sending = SendStreamAsync();
        await _asked.Task.WaitAsync(ApiHost.Deadline);
        Assert.False(sending.IsCompleted);
        _time.Advance(StreamedAnswer.Grace);
        using var response = await sending.WaitAsync(ApiHost.Deadline);
        Assert.Equal(200, (int)response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        for (var comment = 0; comment < 3; comment++)
        {
            _time.Advance(StreamedAnswer.CommentEvery);
            Assert.Equal(": waiting", await reader.ReadLineAsync().WaitAsync(ApiHost.Deadline));
            Assert.Equal("", await reader.ReadLineAsync().WaitAsync(ApiHost.Deadline));
        }
        Play(Answers.Of("Hello.").SkipLast(1));
        Assert.StartsWith("data: {", await reader.ReadLineAsync().WaitAsync(ApiHost.Deadline));
        string? line;
        do
        {
            _time.Advance(StreamedAnswer.CommentEvery);   // workers were lost, say
            line = await reader.ReadLineAsync().WaitAsync(ApiHost.Deadline);
        }
        while (line is "" || line!.StartsWith("data: {", StringComparison.Ordinal));
        Assert.Equal(": waiting", line);
        Play(new SequenceEvent.Finished(FinishReason.Length));
        Assert.EndsWith("data: [DONE]\n\n", await reader.ReadToEndAsync().WaitAsync(ApiHost.Deadline));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"n":3}""")]
    public async Task Headers_go_out_as_soon_as_a_sequence_has_begun(string more)
    {
        Play(new SequenceEvent.Begun(0));
        using var response = await SendStreamAsync(more).WaitAsync(ApiHost.Deadline);
        Assert.Equal(200, (int)response.StatusCode);
    }

    [Fact]
    public async Task A_refusal_within_the_grace_has_a_status_of_its_own()
    {
        var sending = SendStreamAsync();
        await _asked.Task.WaitAsync(ApiHost.Deadline);
        _time.Advance(StreamedAnswer.Grace / 2);
        Play(new SequenceEvent.Refused("all places are taken", Refusal.QueueFull));
        using var response = await sending.WaitAsync(ApiHost.Deadline);
        Assert.Equal(429, (int)response.StatusCode);
    }

    [Fact]
    public async Task A_refusal_after_the_grace_is_an_event()
    {
        var sending = SendStreamAsync();
        await _asked.Task.WaitAsync(ApiHost.Deadline);
        _time.Advance(StreamedAnswer.Grace);
        using var response = await sending.WaitAsync(ApiHost.Deadline);
        Play(new SequenceEvent.Refused("all places are taken", Refusal.QueueFull));
        var body = await response.Content.ReadAsStringAsync().WaitAsync(ApiHost.Deadline);
        Assert.StartsWith("data: {\"error\":", body);
        Assert.Contains("rate_limit_exceeded", body);
        Assert.DoesNotContain("[DONE]", body);
    }

    [Fact]
    public async Task A_failure_after_the_sequence_has_begun_is_an_event()
    {
        Play(new SequenceEvent.Begun(0));
        using var response = await SendStreamAsync().WaitAsync(ApiHost.Deadline);
        Play(new SequenceEvent.Failed("worker w2 was lost", Retryable: true));
        Assert.StartsWith("data: {\"error\":{\"message\":\"worker w2 was lost\"", await response.Content.ReadAsStringAsync().WaitAsync(ApiHost.Deadline));
    }

    [Fact]
    public async Task Leaving_a_stream_that_waits_cancels_its_sequence()
    {
        Play(new SequenceEvent.Begun(0));
        using (await SendStreamAsync().WaitAsync(ApiHost.Deadline)) Assert.False(_api.Engine.Cancelled.Task.IsCompleted);
        await _api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
    }

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
        _api.Engine.Script = _ =>
            Enumerable.Repeat<SequenceEvent>(Answers.Token(65), tokens).Append(new SequenceEvent.Finished(FinishReason.Length)).ToAsyncEnumerable();
        using var client = await SendAsync("""{"messages":[{"role":"user","content":"Hi"}],"stream":true}""");
        var body = await ReadUntilAsync(client, "[DONE]");
        Assert.Equal(tokens + 1, body.Split("\"delta\":{\"content\":").Length);
    }

    /// <summary>Asks for a stream of what is played, and waits for its headers.</summary>
    Task<HttpResponseMessage> SendStreamAsync(string more = "{}")
    {
        _api.Engine.Script = _ =>
        {
            _asked.TrySetResult();
            return _events.Reader.ReadAllAsync();
        };
        var body = JsonNode.Parse(Requests.Chat(more))!;
        body["stream"] = true;
        return _api.Http.SendAsync(new(HttpMethod.Post, Path) { Content = ApiHost.JsonContent(body.ToJsonString()) }, HttpCompletionOption.ResponseHeadersRead);
    }

    void Play(params IEnumerable<SequenceEvent> events)
    {
        foreach (var happened in events) Assert.True(_events.Writer.TryWrite(happened));
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
        var request = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + $"Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}";
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
