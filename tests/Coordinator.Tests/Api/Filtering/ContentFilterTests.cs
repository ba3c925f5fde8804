using System.Collections.Concurrent;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Tests.Api.Filtering;

/// <summary>Prompts and answers that a guard and an output filter look at. The guard is this API before a scripted engine.</summary>
public sealed class ContentFilterTests : IAsyncLifetime
{
    const string Bad = "poison";

    readonly ConcurrentQueue<string> _judged = [];
    readonly ConcurrentQueue<JsonElement> _windows = [];
    ApiHost _servers = null!;
    Func<JsonElement, object> _filter = _ => new { action = "allow" };
    Func<string, string> _verdict = prompt => LastTurn(prompt).Contains(Bad) ? "unsafe\nS2,S9" : "safe";

    public async Task InitializeAsync()
    {
        _servers = await ApiHost.StartAsync(DemoModel.Served with { ContextLength = 32_768 }, more: app => app.MapPost("/filter", async (HttpRequest request) =>
        {
            var window = await JsonSerializer.DeserializeAsync<JsonElement>(request.Body);
            _windows.Enqueue(window);
            return Results.Json(_filter(window));
        }));
        _servers.Engine.Script = request =>
        {
            var prompt = DemoModel.Text.Tokenizer.DecodeText([.. request.Prompt], includeControl: true);
            _judged.Enqueue(prompt);
            return Answers.Stopped(_verdict(prompt)).ToAsyncEnumerable();
        };
    }

    public async Task DisposeAsync() => await _servers.DisposeAsync();

    [Fact]
    public async Task What_is_fit_passes_unchanged()
    {
        await using var api = await StartAsync(new FilterOptions { Guard = Guard, GuardCategories = ["S2", "S9"] });
        api.Engine.Play(Answers.Stopped("Hello there."));
        var answer = await api.PostAsync(
            "/v1/chat/completions", """{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]}""", 200);
        Assert.Equal(("Hello there.", "stop"), (TextOf(answer), ReasonOf(answer)));
        Assert.Equal(["User: Be brief.\nHi", "Agent: Hello there."], _judged.Select(LastTurn));
        Assert.All(_judged, prompt => Assert.Contains("<BEGIN UNSAFE CONTENT CATEGORIES>\nS2: Non-Violent Crimes.\nS9: Indiscriminate Weapons.\n<END", prompt));
    }

    [Fact]
    public async Task A_prompt_that_is_not_fit_has_no_answer()
    {
        await using var api = await StartAsync(new FilterOptions { Guard = Guard });
        using var response = await api.PostAsync("/v1/chat/completions", Requests.Chat($$"""{"messages":[{"role":"user","content":"a {{Bad}}"}]}"""));
        Assert.Equal("prompt S2,S9", response.Headers.GetValues(FilterVerdict.Header).Single());
        var choice = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("choices")[0];
        Assert.Equal(
            ("", "content_filter"),
            (choice.GetProperty("message").GetProperty("content").GetString(), choice.GetProperty("finish_reason").GetString()));
        Assert.Equal("""{"of":"prompt","categories":["S2","S9"]}""", choice.GetProperty("content_filter").GetRawText());
        Assert.Empty(api.Engine.Requests);

        var events = await api.StreamAsync("/v1/chat/completions", Requests.Chat($$"""{"stream":true,"messages":[{"role":"user","content":"a {{Bad}}"}]}"""));
        Assert.Contains(events, data => data.Contains("\"finish_reason\":\"content_filter\""));
        Assert.Equal("[DONE]", events[^1]);
    }

    [Fact]
    public async Task A_stream_is_told_window_by_window_and_ends_where_it_is_not_fit()
    {
        await using var api = await StartAsync(new FilterOptions { Guard = Guard, Window = 20 });
        api.Engine.Play(Answers.BytesOf($"This is a harmless beginning, and then comes {Bad} and much more."));
        var events = await api.StreamAsync("/v1/chat/completions", Requests.Chat("""{"stream":true}"""));
        var told = string.Concat(events.SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0])
            .Select(choice => choice.GetProperty("delta").TryGetProperty("content", out var content) ? content.GetString() : ""));
        Assert.Equal("This is a harmless beginning, and then c", told);
        Assert.Contains("\"content_filter\":{\"of\":\"answer\",\"categories\":[\"S2\",\"S9\"]}", events[^2]);
        Assert.Equal(1 + 3, _judged.Count);   // the prompt, and three windows
        await api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
    }

    [Theory]
    [InlineData("/v1/completions", """{"prompt":"Hi"}""", "\"finish_reason\":\"content_filter\"")]
    [InlineData("/v1/messages", """{"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}""", "\"stop_reason\":\"refusal\"")]
    [InlineData("/v1/responses", """{"input":"Hi"}""", "\"reason\":\"content_filter\"")]
    [InlineData("/api/chat", """{"model":"demo","stream":false,"messages":[{"role":"user","content":"Hi"}]}""", "\"done_reason\":\"content_filter\"")]
    [InlineData("/generate", """{"inputs":"Hi"}""", "\"finish_reason\":\"content_filter\"")]
    public async Task Every_api_says_it_in_its_own_words(string address, string body, string said)
    {
        await using var api = await StartAsync(new FilterOptions { Guard = Guard });
        api.Engine.Play(Answers.Stopped($"a {Bad}"));
        using var response = await api.PostAsync(address, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.Contains(said, text);
        Assert.DoesNotContain(Bad, text);
        Assert.Equal("answer S2,S9", response.Headers.GetValues(FilterVerdict.Header).Single());
    }

    [Fact]
    public async Task Of_several_choices_one_may_be_fit()
    {
        await using var api = await StartAsync(new FilterOptions { Guard = Guard });
        api.Engine.Script = request => Answers.Stopped(request.Sampling.Seed % 2 == 0 ? "good" : Bad).ToAsyncEnumerable();
        var choices = (await api.PostAsync("/v1/chat/completions", Requests.Chat("""{"n":2,"seed":4}"""), 200)).GetProperty("choices");
        Assert.Equal(["stop", "content_filter"], choices.EnumerateArray().Select(choice => choice.GetProperty("finish_reason").GetString()));
        Assert.Equal(["good", ""], choices.EnumerateArray().Select(choice => choice.GetProperty("message").GetProperty("content").GetString()));
    }

    [Fact]
    public async Task Calls_and_their_arguments_are_judged_too()
    {
        await using var api = await StartAsync(new FilterOptions { Guard = Guard });
        api.Engine.Play(Answers.Stopped($$$"""<tool_call>{"name":"run","arguments":{"code":"{{{Bad}}}"}}</tool_call>"""));
        var answer = await api.PostAsync(
            "/v1/chat/completions",
            Requests.Chat("""{"tools":[{"type":"function","function":{"name":"run","parameters":{"type":"object"}}}]}"""),
            200);
        Assert.Equal("content_filter", ReasonOf(answer));
        Assert.DoesNotContain(Bad, answer.GetRawText());
    }

    [Theory]
    [InlineData("no verdict at all")]
    [InlineData(null)]
    public async Task What_cannot_be_judged_is_the_operators_choice(string? verdict)
    {
        _verdict = _ => verdict ?? throw new InvalidOperationException("a guard that breaks");
        await using var closed = await StartAsync(new FilterOptions { Guard = Guard });
        var error = await closed.PostAsync("/v1/chat/completions", Requests.Chat(), 503);
        Assert.Equal("content_filter_unavailable", error.GetProperty("error").GetProperty("code").GetString());
        Assert.Empty(closed.Engine.Requests);

        await using var open = await StartAsync(new FilterOptions { Guard = Guard, FailsOpen = true });
        open.Engine.Play(Answers.Stopped("Hello"));
        Assert.Equal("Hello", TextOf(await open.PostAsync("/v1/chat/completions", Requests.Chat(), 200)));
    }

    [Fact]
    public async Task A_guard_that_is_silent_is_waited_for_no_longer_than_its_time()
    {
        _servers.Engine.Script = _ => EndlessStream.After([]);
        await using var api = await StartAsync(new FilterOptions { Guard = Guard, Timeout = TimeSpan.FromMilliseconds(300) });
        var error = await api.PostAsync("/v1/chat/completions", Requests.Chat(), 503);
        Assert.Contains("has not answered within 0.3 s", error.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_guard_that_is_not_there_is_named()
    {
        await using var api = await StartAsync(new FilterOptions { Guard = new Uri("http://127.0.0.1:1") });
        var error = await api.PostAsync("/v1/chat/completions", Requests.Chat(), 503);
        Assert.Contains("the guard at http://127.0.0.1:1/ cannot be asked", error.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_prompt_that_is_longer_than_is_judged_is_refused()
    {
        await using var api = await StartAsync(new FilterOptions { Guard = Guard }, DemoModel.Served with { ContextLength = 1 << 20 });
        var error = await api.PostAsync("/v1/completions", JsonSerializer.Serialize(new { prompt = string.Concat(Enumerable.Repeat("word ", 60_000)) }), 400);
        Assert.Equal("content_filter_too_long", error.GetProperty("error").GetProperty("code").GetString());
        Assert.Empty(_judged);
    }

    [Fact]
    public async Task An_output_filter_gets_windows_that_are_the_whole_text()
    {
        const string text = "The first words of an answer, and the last ones of it.";
        await using var api = await StartAsync(new FilterOptions { OutputFilter = Filter, Window = 16 });
        api.Engine.Play(Answers.BytesOf(text, FinishReason.Stop));
        await api.StreamAsync("/v1/completions", Requests.Completion("""{"stream":true}"""));
        Assert.Equal(text, string.Concat(_windows.Select(window => window.GetProperty("text").GetString())));
        Assert.Equal([0, 16, 32, 48], _windows.Select(window => window.GetProperty("start").GetInt32()));
        Assert.Equal([false, false, false, true], _windows.Select(window => window.GetProperty("last").GetBoolean()));
        Assert.All(_windows, window => Assert.Equal(("demo", 0), (window.GetProperty("model").GetString(), window.GetProperty("choice").GetInt32())));
    }

    [Fact]
    public async Task An_output_filter_replaces_or_blocks_and_the_guard_sees_what_is_left()
    {
        _filter = window => window.GetProperty("text").GetString()!.Contains("password")
            ? new { action = "replace", text = "The ***** is here." } : (object)new { action = "block", category = "insecure code" };
        await using var api = await StartAsync(new FilterOptions { OutputFilter = Filter, Guard = Guard });
        api.Engine.Play(Answers.Stopped("The password is here."));
        var replaced = await api.PostAsync("/v1/chat/completions", Requests.Chat("""{"logprobs":true}"""), 200);
        Assert.Equal(("The ***** is here.", "stop"), (TextOf(replaced), ReasonOf(replaced)));
        Assert.Equal("Agent: The ***** is here.", LastTurn(_judged.Last()));

        api.Engine.Play(Answers.Stopped("eval(input())"));
        var blocked = await api.PostAsync("/v1/chat/completions", Requests.Chat(), 200);
        Assert.Equal(("", "content_filter"), (TextOf(blocked), ReasonOf(blocked)));
        Assert.Equal("insecure_code", blocked.GetProperty("choices")[0].GetProperty("content_filter").GetProperty("categories")[0].GetString());
    }

    [Theory]
    [InlineData("""{"action":"shrug"}""")]
    [InlineData("""{"action":"replace"}""")]
    [InlineData("[]")]
    public async Task An_output_filter_that_says_something_else_ends_the_request(string said)
    {
        _filter = _ => JsonDocument.Parse(said).RootElement;
        await using var api = await StartAsync(new FilterOptions { OutputFilter = Filter });
        api.Engine.Play(Answers.Stopped("Hello"));
        Assert.Equal(
            "content_filter_unavailable",
            (await api.PostAsync("/v1/chat/completions", Requests.Chat(), 503)).GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task A_session_keeps_what_was_told_and_nothing_of_what_was_not()
    {
        _filter = window => new { action = "replace", text = window.GetProperty("text").GetString()!.Replace("secret", "*") };
        await using var api = await StartAsync(new FilterOptions { OutputFilter = Filter, Guard = Guard });
        async Task<JsonElement> SayAsync(string answer)
        {
            api.Engine.Play(Answers.Stopped(answer));
            return await api.PostAsync("/v1/chat/completions", Requests.Chat("""{"session_id":"s1","session_mode":"append"}"""), 200);
        }
        await SayAsync("my secret");
        await SayAsync($"now {Bad}");
        await SayAsync("bye");
        var session = await api.GetAsync("/v1/sessions/s1/export", 200);
        Assert.DoesNotContain("secret", session.GetRawText());
        Assert.DoesNotContain(Bad, session.GetRawText());
        Assert.Equal(["my *", "bye"], session.GetProperty("messages").EnumerateArray()
            .Where(message => message.GetProperty("role").GetString() == "assistant").Select(message => message.GetProperty("content").GetString()));
    }

    Uri Guard => _servers.Http.BaseAddress!;

    Uri Filter => new(_servers.Http.BaseAddress!, "filter");

    static Task<ApiHost> StartAsync(FilterOptions filters, Coordinator.Api.ServedModel? model = null) =>
        ApiHost.StartAsync(model, options: new ApiOptions { Filters = filters });

    static string LastTurn(string prompt)
    {
        var conversation = prompt.Split("<BEGIN CONVERSATION>\n\n")[1].Split("\n\n<END CONVERSATION>")[0];
        var last = Math.Max(conversation.LastIndexOf("User: ", StringComparison.Ordinal), conversation.LastIndexOf("Agent: ", StringComparison.Ordinal));
        return conversation[last..];
    }

    static string? TextOf(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString();

    static string? ReasonOf(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString();
}
