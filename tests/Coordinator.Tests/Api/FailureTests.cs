using System.Net.ServerSentEvents;
using System.Text.Json;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>What a client sees when the cluster cannot go on.</summary>
public sealed class FailureTests : IAsyncLifetime
{
    const string Path = "/v1/chat/completions";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"stream":true}""")]
    public async Task Before_the_model_is_loaded_a_client_is_told_to_come_back(string more)
    {
        _api.Engine.Status = new EngineStatus(false, "stage 1 is loading", 3);
        using var response = await _api.PostAsync(Path, Requests.Chat(more));
        Assert.Equal(503, (int)response.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(2), response.Headers.RetryAfter?.Delta);
        Assert.Contains("stage 1 is loading", await response.Content.ReadAsStringAsync());
        Assert.Empty(_api.Engine.Requests);
    }

    [Fact]
    public async Task While_others_take_over_from_workers_that_were_lost_requests_are_taken_on()
    {
        _api.Engine.Status = new EngineStatus(false, "worker w2 was lost", 3) { IsRecovering = true };
        _api.Engine.Play(Answers.Of("Hello."));
        await _api.PostAsync(Path, Requests.Chat(), 200);
    }

    [Theory]
    [InlineData(true, 503, "{}")]
    [InlineData(false, 500, "{}")]
    [InlineData(true, 503, """{"stream":true}""")]
    [InlineData(false, 500, """{"stream":true}""")]
    public async Task A_failure_before_the_first_text_is_a_status(bool retryable, int status, string more)
    {
        _api.Engine.Play(new SequenceEvent.Failed("worker w2 was lost", retryable));
        using var response = await _api.PostAsync(Path, Requests.Chat(more));
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(retryable, response.Headers.RetryAfter is not null);
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
        Assert.Equal("worker w2 was lost", error.GetProperty("message").GetString());
        Assert.Equal("server_error", error.GetProperty("type").GetString());
    }

    [Theory]
    [InlineData(Refusal.QueueFull, 429, "requests", "rate_limit_exceeded", true, "{}")]
    [InlineData(Refusal.QueueFull, 429, "requests", "rate_limit_exceeded", true, """{"stream":true,"n":3}""")]
    [InlineData(Refusal.NotReady, 503, "server_error", "model_not_ready", true, """{"stream":true}""")]
    [InlineData(Refusal.TooLarge, 400, "invalid_request_error", "kv_cache_exceeded", false, "{}")]
    public async Task What_is_not_taken_on_says_whether_to_come_back(Refusal why, int status, string type, string code, bool later, string more)
    {
        _api.Engine.Play(new SequenceEvent.Refused("that is why", why));
        using var response = await _api.PostAsync(Path, Requests.Chat(more));
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(later ? TimeSpan.FromSeconds(2) : null, response.Headers.RetryAfter?.Delta);
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
        Assert.Equal((type, code), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        Assert.EndsWith("that is why", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_failure_within_a_stream_is_an_event_and_the_reason_why_its_choice_ends()
    {
        _api.Engine.Play([.. Answers.Of("Hel").SkipLast(1), new SequenceEvent.Failed("worker w2 was lost", true)]);
        var events = await _api.StreamAsync(Path, Requests.Chat("""{"stream":true}"""));
        var error = JsonDocument.Parse(events[^2]).RootElement.GetProperty("error");
        Assert.Equal("error", JsonDocument.Parse(events[^1]).RootElement.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(("worker w2 was lost", "generation_interrupted", 2), (Text("message"), Text("code"), error.GetProperty("retry_after").GetInt32()));
        string? Text(string name) => error.GetProperty(name).GetString();
        Assert.DoesNotContain("[DONE]", events);
    }

    [Fact]
    public async Task A_choice_that_had_ended_before_a_failure_keeps_its_reason()
    {
        var ended = new TaskCompletionSource();
        _api.Engine.Script = request => request.Sampling.Seed == 1 ? Answers.Of("Whole").ToAsyncEnumerable() : FailAfterAsync(ended.Task);
        using var request = new HttpRequestMessage(HttpMethod.Post, Path)
        {
            Content = ApiHost.JsonContent(Requests.Chat("""{"stream":true,"n":2,"seed":1}""")),
        };
        using var response = await _api.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var ends = new List<(int, string)>();
        await foreach (var part in SseParser.Create(await response.Content.ReadAsStreamAsync()).EnumerateAsync())
        {
            if (!JsonDocument.Parse(part.Data).RootElement.TryGetProperty("choices", out var choices)) continue;
            if (choices[0].GetProperty("finish_reason").GetString() is not { } reason) continue;
            ends.Add((choices[0].GetProperty("index").GetInt32(), reason));
            ended.TrySetResult();
        }
        Assert.Equal([(0, "length"), (1, "error")], ends);
    }

    static async IAsyncEnumerable<SequenceEvent> FailAfterAsync(Task other)
    {
        await other.WaitAsync(ApiHost.Deadline);
        yield return new SequenceEvent.Failed("worker w2 was lost", true);
    }

    [Fact]
    public async Task A_failure_of_one_choice_ends_the_others()
    {
        _api.Engine.Script = request => request.Sampling.Seed == 2
            ? new SequenceEvent[] { new SequenceEvent.Failed("lost", true) }.ToAsyncEnumerable()
            : EndlessStream.After([]);
        await _api.PostAsync(Path, Requests.Chat("""{"n":3,"seed":1}"""), 503);
        await _api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
    }

    [Fact]
    public async Task A_bug_is_an_error_of_the_server_with_the_request_id()
    {
        _api.Engine.Script = _ => throw new InvalidOperationException("secret detail");
        using var response = await _api.PostAsync(Path, Requests.Chat());
        Assert.Equal(500, (int)response.StatusCode);
        var body = await response.Content.ReadAsStringAsync();
        Assert.Contains(response.Headers.GetValues("X-Request-Id").Single(), body);
        Assert.DoesNotContain("secret", body);
    }

    [Fact]
    public async Task A_bug_within_a_stream_is_told_as_a_failure_is()
    {
        _api.Engine.Script = _ => ThrowingAfter(Answers.Of("Hel").SkipLast(1));
        var events = await _api.StreamAsync(Path, Requests.Chat("""{"stream":true}"""));
        Assert.Contains("internal_error", events[^2]);
        Assert.Contains("\"finish_reason\":\"error\"", events[^1]);
    }

    [Fact]
    public async Task A_sequence_without_an_end_is_not_taken_for_a_whole_one()
    {
        _api.Engine.Play([.. Answers.Of("Hel").SkipLast(1)]);
        await _api.PostAsync(Path, Requests.Chat(), 500);
    }

    static async IAsyncEnumerable<SequenceEvent> ThrowingAfter(IEnumerable<SequenceEvent> first)
    {
        foreach (var happened in first) yield return happened;
        await Task.Yield();
        throw new InvalidOperationException("bug");
    }
}
