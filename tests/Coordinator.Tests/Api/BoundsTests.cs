using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text;
using Microsoft.Extensions.Time.Testing;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>What the API refuses before it does work, and how much work it does at a time.</summary>
public sealed class BoundsTests
{
    const string Chat = "/v1/chat/completions";
    const string Completions = "/v1/completions";

    static readonly ContextRules Rules = new(DemoModel.Served, ContextLimit.Of(DemoModel.Served, new EngineStatus(true, "", 1)), strict: false);

    [Theory]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"TEXT"}]}""", "messages")]
    [InlineData(Completions, """{"prompt":"TEXT"}""", "prompt")]
    [InlineData(Completions, """{"prompt":["Hi","TEXT"]}""", "prompt")]
    public async Task A_text_that_cannot_fit_is_refused_without_being_encoded(string path, string body, string param)
    {
        var tokenizer = new WatchedTokenizer();
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Tokenizer = tokenizer });
        var error = (await api.PostAsync(path, body.Replace("TEXT", new string('a', 400_000)), 400)).GetProperty("error");
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Matches(
            "context length is 512 tokens, but the prompt has 400\\d{3} bytes besides white space.*"
            + $"no token has more than {DemoModel.Served.LongestToken} bytes",
            error.GetProperty("message").GetString());
        Assert.InRange(tokenizer.LongestText, 0, 100);
    }

    [Fact]
    public void Only_a_text_that_cannot_fit_is_refused_by_its_bytes()
    {
        var most = (DemoModel.Context - 1) * DemoModel.Served.LongestToken;
        Assert.Null(Rules.CheckText(new string('a', most), "prompt"));
        Assert.NotNull(Rules.CheckText(new string('a', most + 1), "prompt"));
        Assert.NotNull(Rules.CheckText(new string('é', most / 2 + 1), "prompt"));
        Assert.Null(Rules.CheckText(new string('a', most) + new string(' ', 1000) + new string('\u3000', 1000), "prompt"));
    }

    [Fact]
    public void No_token_is_longer_than_the_longest()
    {
        var lengths = Enumerable.Range(0, DemoModel.Text.Tokenizer.VocabularySize).Select(id => DemoModel.Text.Tokenizer.BytesOf(id).Length).ToArray();
        Assert.Equal(lengths.Max(), DemoModel.Served.LongestToken);
    }

    [Fact]
    public async Task Ids_that_are_too_many_are_refused_without_being_decoded()
    {
        var tokenizer = new WatchedTokenizer();
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Tokenizer = tokenizer });
        await api.PostAsync(Completions, $$"""{"prompt":[{{string.Join(',', Enumerable.Repeat(65, DemoModel.Context))}}],"echo":true}""", 400);
        await api.PostAsync(Completions, """{"prompt":[65]}""", 200);
        Assert.Equal(0, tokenizer.Decoded);
        await api.PostAsync(Completions, """{"prompt":[65],"echo":true}""", 200);
        Assert.Equal(1, tokenizer.Decoded);
    }

    [Fact]
    public async Task A_prompt_is_encoded_once_however_many_choices_continue_it()
    {
        var tokenizer = new WatchedTokenizer();
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Tokenizer = tokenizer });
        await api.PostAsync(Chat, Requests.Chat("""{"n":5}"""), 200);
        Assert.Equal(1, tokenizer.Encoded);
    }

    [Fact]
    public async Task Nothing_is_encoded_before_the_model_is_ready()
    {
        var tokenizer = new WatchedTokenizer();
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Tokenizer = tokenizer });
        api.Engine.Status = new EngineStatus(false, "loading", 0);
        await api.PostAsync(Chat, Requests.Chat(), 503);
        Assert.Equal(0, tokenizer.Encoded);
    }

    [Fact]
    public async Task A_few_prompts_are_encoded_at_a_time_and_those_beyond_the_queue_are_refused()
    {
        var tokenizer = new WatchedTokenizer();
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Tokenizer = tokenizer });
        var running = tokenizer.Hold();
        var asked = Enumerable.Range(0, ApiLimits.EncodingsAtATime + ApiLimits.EncodingsWaiting + 1)
            .Select(number => number % 2 == 0 ? api.PostAsync("/tokenize", Requests.Completion()) : api.PostAsync(Chat, Requests.Chat())).ToList();
        var first = await Task.WhenAny(asked).WaitAsync(ApiHost.Deadline);
        await AssertOverloadedAsync(await first);
        running.SetResult();
        asked.Remove(first);
        foreach (var response in await Task.WhenAll(asked).WaitAsync(ApiHost.Deadline)) Assert.Equal(200, (int)response.StatusCode);
        Assert.InRange(tokenizer.MostAtATime, 1, ApiLimits.EncodingsAtATime);
    }

    [Fact]
    public async Task A_request_whose_turn_to_be_encoded_does_not_come_is_refused()
    {
        var (tokenizer, time) = (new WatchedTokenizer(), new WatchedTime());
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Tokenizer = tokenizer }, time);
        var running = tokenizer.Hold();
        var asked = Enumerable.Range(0, ApiLimits.EncodingsAtATime + 1).Select(_ => api.PostAsync("/tokenize", Requests.Completion())).ToList();
        await time.Waiting.Task.WaitAsync(ApiHost.Deadline);
        time.Advance(ApiLimits.EncodingWait);
        var first = await Task.WhenAny(asked).WaitAsync(ApiHost.Deadline);
        await AssertOverloadedAsync(await first);
        running.SetResult();
        await Task.WhenAll(asked).WaitAsync(ApiHost.Deadline);
    }

    [Fact]
    public async Task A_body_that_stops_coming_is_refused()
    {
        await using var api = await ApiHost.StartAsync();
        using var client = new TcpClient();
        await client.ConnectAsync(api.Http.BaseAddress!.Host, api.Http.BaseAddress.Port);
        await client.GetStream().WriteAsync(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"prompt\""u8.ToArray());
        using var reader = new StreamReader(client.GetStream(), Encoding.UTF8);
        var answer = await reader.ReadToEndAsync().WaitAsync(ApiHost.Deadline);
        Assert.StartsWith("HTTP/1.1 408 ", answer);
        Assert.Contains("\"type\":\"invalid_request_error\"", answer);
    }

    static async Task AssertOverloadedAsync(HttpResponseMessage response)
    {
        Assert.Equal(503, (int)response.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(2), response.Headers.RetryAfter?.Delta);
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
        Assert.Equal("overloaded", error.GetProperty("code").GetString());
    }

    /// <summary>The demo model's tokenizer, which counts and can be held.</summary>
    sealed class WatchedTokenizer : ITokenizer
    {
        readonly ITokenizer _inner = DemoModel.Text.Tokenizer;
        Task _held = Task.CompletedTask;
        int _now, _encoded, _decoded;

        public int Encoded => _encoded;

        public int Decoded => _decoded;

        /// <summary>Bytes of the longest text encoded.</summary>
        public int LongestText { get; private set; }

        public int MostAtATime { get; private set; }

        public int VocabularySize => _inner.VocabularySize;

        public int? BosId => _inner.BosId;

        public int? EosId => _inner.EosId;

        public IReadOnlySet<int> StopIds => _inner.StopIds;

        /// <summary>Encoding ends when the result is set.</summary>
        public TaskCompletionSource Hold()
        {
            var hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _held = hold.Task;
            return hold;
        }

        public void Encode(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, bool parseSpecial)
        {
            Interlocked.Increment(ref _encoded);
            var now = Interlocked.Increment(ref _now);
            lock (_inner) (MostAtATime, LongestText) = (Math.Max(MostAtATime, now), Math.Max(LongestText, text.Length));
            if (!_held.Wait(ApiHost.Deadline)) throw new TimeoutException("the test has not let the tokenizer go on");
            _inner.Encode(text, ids, addSpecial, parseSpecial);
            Interlocked.Decrement(ref _now);
        }

        public ReadOnlyMemory<byte> BytesOf(int id) => _inner.BytesOf(id);

        public bool IsControl(int id) => _inner.IsControl(id);

        public void Decode(ReadOnlySpan<int> ids, List<byte> text, bool includeControl)
        {
            Interlocked.Increment(ref _decoded);
            _inner.Decode(ids, text, includeControl);
        }

        public int? FindToken(string written) => _inner.FindToken(written);
    }

    /// <summary>A clock that says when a request waits for its turn.</summary>
    sealed class WatchedTime : FakeTimeProvider
    {
        public TaskCompletionSource Waiting { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            if (dueTime == ApiLimits.EncodingWait) Waiting.TrySetResult();
            return timer;
        }
    }
}
