using System.Text.Json;
using LlamaCluster.Testing;
using LlamaCluster.Text.Templates;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>What clients send by default gets an answer, and the answer says what of it had no effect or was read as something else.</summary>
public sealed class LeniencyTests : IAsyncLifetime
{
    const string Chat = "/v1/chat/completions";
    const string Completions = "/v1/completions";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    public static TheoryData<string, string> IgnoredInBoth => new()
    {
        { """{"tempreature":1}""", "tempreature" },
        { """{"session_id":"a b"}""", "session_id" },
        { """{"store":true}""", "store" },
        { """{"service_tier":"flex"}""", "service_tier" },
        { """{"reasoning_effort":"high"}""", "reasoning_effort" },
        { """{"verbosity":"low"}""", "verbosity" },
        { """{"prediction":{"type":"content","content":"x"}}""", "prediction" },
        { """{"prompt_cache_retention":"24h"}""", "prompt_cache_retention" },
        { """{"stream":true,"stream_options":{"include_obfuscation":true}}""", "stream_options.include_obfuscation" },
        { """{"stream":true,"stream_options":{"other":1}}""", "stream_options.other" },
        { """{"b":1,"a":[2],"c":null}""", "b, a" },
        { "{\"a,b\\r\\nSet-Cookie: ü\":1}", "a?b??Set-Cookie:??" },
    };

    public static TheoryData<string, string> IgnoredInChat => new()
    {
        { """{"functions":[{"name":"f"}],"function_call":"none"}""", "functions" },
        {
            """{"messages":[{"role":"user","content":"Hi","id":"1","opts":{}},{"role":"assistant","content":"a","reasoning_content":"b","id":"2"}]}""",
            "messages[].id, messages[].opts, messages[].reasoning_content"
        },
        { """{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"e"}}]}]}""", "messages[].content[].cache_control" },
    };

    [Theory]
    [MemberData(nameof(IgnoredInBoth))]
    public async Task Fields_without_effect_are_named_in_the_answer(string more, string names)
    {
        await AssertIgnoredAsync(_api, Chat, Requests.Chat(more), names);
        await AssertIgnoredAsync(_api, Completions, Requests.Completion(more), names);
    }

    [Theory]
    [MemberData(nameof(IgnoredInChat))]
    public Task Those_of_chats_too(string more, string names) => AssertIgnoredAsync(_api, Chat, Requests.Chat(more), names);

    [Theory]
    [InlineData("/tokenize", """{"prompt":"a","x":1}""")]
    [InlineData("/detokenize", """{"tokens":[1],"x":1}""")]
    [InlineData("/v1/completions", """{"prompt":"a","x":1}""")]
    public Task And_those_of_every_other_address(string path, string body) => AssertIgnoredAsync(_api, path, body, "x");

    [Theory]
    [MemberData(nameof(IgnoredInBoth))]
    [MemberData(nameof(IgnoredInChat))]
    public async Task All_of_them_are_refused_where_the_operator_wants_it_strict(string more, string names)
    {
        await using var api = await ApiHost.StartAsync(options: new() { StrictFields = true });
        var error = (await api.PostAsync(Chat, Requests.Chat(more), 400)).GetProperty("error");
        Assert.Equal(names.Split(", ")[0].Split('.', '[')[0][..1], error.GetProperty("param").GetString()![..1]);
        Assert.True(error.GetProperty("code").GetString() is "unknown_parameter" or "unsupported_parameter");
    }

    [Fact]
    public async Task An_error_names_them_too()
    {
        using var response = await _api.PostAsync(Completions, """{"prompt":5,"x":1}""");
        Assert.Equal(400, (int)response.StatusCode);
        Assert.False(response.Headers.Contains("X-LlamaCluster-Ignored")); // what is wrong is found before the rest is looked at
        using var late = await _api.PostAsync(Completions, $$"""{"prompt":[{{string.Join(',', Enumerable.Repeat(65, 600))}}],"x":1}""");
        Assert.Equal("x", Assert.Single(late.Headers.GetValues("X-LlamaCluster-Ignored")));
    }

    [Fact]
    public async Task A_request_with_a_thousand_of_them_gets_a_short_header()
    {
        var many = $$"""{"prompt":"x",{{string.Join(',', Enumerable.Range(0, 1000).Select(number => $"\"field{number}{new string('x', 100)}\":1"))}}}""";
        using var response = await _api.PostAsync(Completions, many);
        Assert.Equal(200, (int)response.StatusCode);
        var header = Assert.Single(response.Headers.GetValues("X-LlamaCluster-Ignored"));
        Assert.EndsWith(", ...", header);
        Assert.InRange(header.Length, 100, 2000);
    }

    [Fact]
    public async Task A_name_is_logged_once_and_names_without_end_are_not()
    {
        var log = new LogLines(LogLevel.Warning);
        await using var api = await ApiHost.StartAsync(log: log);
        for (var round = 0; round < 3; round++) await api.PostAsync(Completions, """{"prompt":"x","foo":1}""", 200);
        Assert.Single(log.Lines, line => line.Contains("'foo'"));
        for (var first = 0; first < 1000; first += 20)
        {
            var fields = string.Join(',', Enumerable.Range(first, 20).Select(number => $"\"field{number}\":1"));
            await api.PostAsync(Completions, $$"""{"prompt":"x",{{fields}}}""", 200);
        }
        Assert.Equal(256, log.Lines.Count(line => line.Contains("which has no effect")));
        Assert.Single(log.Lines, line => line.Contains("others will not be"));
    }

    [Theory]
    [InlineData("""{"max_tokens":5.0,"seed":42.0,"top_k":40.0,"n":1.0,"priority":1e1}""")]
    [InlineData("""{"max_tokens":0.5e1,"seed":4.2e1,"top_k":4e1,"n":10e-1,"priority":10.000}""")]
    public async Task A_whole_number_may_have_a_point(string more)
    {
        foreach (var (path, body) in new[] { (Chat, Requests.Chat(more)), (Completions, Requests.Completion(more)) })
        {
            await _api.PostAsync(path, body, 200);
            var request = _api.Engine.Requests[^1];
            Assert.Equal((5, 42UL, 40, 10), (request.MaxTokens, request.Sampling.Seed, request.Sampling.TopK, request.Priority));
        }
        await _api.PostAsync(Completions, """{"prompt":[1.0,2e0]}""", 200);
        Assert.Equal([1, 2], _api.Engine.Requests[^1].Prompt);
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("-1.0")]
    [InlineData("null")]
    public async Task A_seed_of_minus_one_is_none(string seed)
    {
        for (var round = 0; round < 3; round++) await _api.PostAsync(Completions, $$"""{"prompt":"x","seed":{{seed}}}""", 200);
        Assert.Equal(3, _api.Engine.Requests.Select(request => request.Sampling.Seed).Distinct().Count());
    }

    [Fact]
    public async Task Llama_cpps_name_of_the_repetition_penalty_is_understood()
    {
        await _api.PostAsync(Completions, """{"prompt":"x","repeat_penalty":1.25}""", 200);
        await _api.PostAsync(Completions, """{"prompt":"x","repeat_penalty":1.25,"repetition_penalty":1.25}""", 200);
        Assert.All(_api.Engine.Requests, request => Assert.Equal(1.25f, request.Sampling.RepetitionPenalty));
    }

    [Fact]
    public async Task Fewest_tokens_hold_back_what_ends_an_answer()
    {
        await _api.PostAsync(Completions, """{"prompt":"x","min_tokens":3,"stop_token_ids":[9]}""", 200);
        await _api.PostAsync(Completions, """{"prompt":"x","min_tokens":3,"stop_token_ids":[9],"ignore_eos":true}""", 200);
        await _api.PostAsync(Completions, """{"prompt":"x"}""", 200);
        Assert.Equal([3, 3, 0], _api.Engine.Requests.Select(request => request.Sampling.MinTokens));
        Assert.Equal(DemoModel.Text.Tokenizer.StopIds.Append(9).Order(), _api.Engine.Requests[0].Sampling.EndIds.Order());
        Assert.Equal([9], _api.Engine.Requests[1].Sampling.EndIds);
        Assert.Empty(_api.Engine.Requests[2].Sampling.EndIds);
    }

    [Theory]
    [InlineData(0, "ab")]
    [InlineData(5, "abSTO")]
    [InlineData(6, "abSTOPcd")]
    public async Task A_stop_text_does_not_end_the_tokens_that_an_answer_must_have(int least, string expected)
    {
        _api.Engine.Play(Answers.BytesOf("abSTOPcdSTOPef"));
        var answer = await _api.PostAsync(Completions, $$"""{"prompt":"x","min_tokens":{{least}},"stop":["STOP","P"]}""", 200);
        Assert.Equal(expected, answer.GetProperty("choices")[0].GetProperty("text").GetString());
    }

    [Theory]
    [InlineData("flex")]
    [InlineData("auto")]
    public async Task Whatever_service_tier_is_asked_for_the_answer_names_the_one_there_is(string tier)
    {
        _api.Engine.Play(Answers.Of("Hi"));
        var whole = await _api.PostAsync(Chat, Requests.Chat($$"""{"service_tier":"{{tier}}"}"""), 200);
        Assert.Equal("default", whole.GetProperty("service_tier").GetString());
        var events = await _api.StreamAsync(Chat, Requests.Chat($$"""{"service_tier":"{{tier}}","stream":true}"""));
        Assert.All(events.SkipLast(1), data => Assert.Equal("default", JsonDocument.Parse(data).RootElement.GetProperty("service_tier").GetString()));
        Assert.False((await _api.PostAsync(Chat, Requests.Chat(), 200)).TryGetProperty("service_tier", out _));
    }

    [Theory]
    [InlineData(Chat, true)]
    [InlineData(Completions, true)]
    [InlineData(Chat, false)]
    public async Task Every_chunk_has_the_usage_so_far_if_asked_for(string path, bool atTheEnd)
    {
        _api.Engine.Play(Answers.BytesOf("abcd"));
        var body = (path == Chat ? Requests.Chat : (Func<string, string>)Requests.Completion)(
            $$$"""{"stream":true,"stream_options":{"continuous_usage_stats":true,"include_usage":{{{(atTheEnd ? "true" : "false")}}}}}""");
        var chunks = (await _api.StreamAsync(path, body)).SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement).ToArray();
        var counts = chunks.Select(chunk => chunk.GetProperty("usage").GetProperty("completion_tokens").GetInt32()).ToArray();
        Assert.Equal([1, 2, 3, 4], counts.Distinct());
        Assert.All(chunks, chunk => Assert.Equal(_api.Engine.Requests[0].Prompt.Count, chunk.GetProperty("usage").GetProperty("prompt_tokens").GetInt32()));
        Assert.Equal(atTheEnd ? 0 : 1, chunks[^1].GetProperty("choices").GetArrayLength());
    }

    [Theory]
    [InlineData("{}", "none")]
    [InlineData("""{"chat_template_kwargs":{"date":"today","n":2,"deep":{"a":[1,null]},"nothing":null}}""", "today 2 1")]
    public async Task Further_variables_reach_the_template(string more, string expected)
    {
        var template = ChatTemplate.Parse("{% if date is defined %}{{ date }} {{ n }} {{ deep.a[0] }}{% else %}none{% endif %}");
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Template = template });
        await api.PostAsync(Chat, Requests.Chat(more), 200);
        Assert.Equal(Answers.IdsOf(expected), api.Engine.Requests[0].Prompt);
        var tokens = (await api.PostAsync("/tokenize", Requests.Chat(more), 200)).GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32());
        Assert.Equal(Answers.IdsOf(expected), tokens);
    }

    static async Task AssertIgnoredAsync(ApiHost api, string path, string body, string names)
    {
        using var response = await api.PostAsync(path, body);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        Assert.Equal(names, Assert.Single(response.Headers.GetValues("X-LlamaCluster-Ignored")));
    }
}
