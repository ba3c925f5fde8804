using System.Globalization;
using System.Text.Json;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Fields that are honoured reach the engine; those that change nothing are accepted.</summary>
public sealed class SettingsTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Every_sampling_field_reaches_the_engine()
    {
        await _api.PostAsync("/v1/completions", """
            {"prompt":"x","temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.05,"repetition_penalty":1.1,"frequency_penalty":0.25,"presence_penalty":-0.5,
             "logit_bias":{"5":-100,"7":1.5},"seed":-3,"max_tokens":9,"stop_token_ids":[11],"logprobs":3,"priority":-2,"cache_salt":"pepper"}
            """, 200);
        var request = Assert.Single(_api.Engine.Requests);
        var sampling = request.Sampling;
        Assert.Equal((0.5f, 0.9f, 40, 0.05f), (sampling.Temperature, sampling.TopP, sampling.TopK, sampling.MinP));
        Assert.Equal((1.1f, 0.25f, -0.5f), (sampling.RepetitionPenalty, sampling.FrequencyPenalty, sampling.PresencePenalty));
        Assert.Equal([(5, -100f), (7, 1.5f)], sampling.LogitBias.OrderBy(bias => bias.Key).Select(bias => (bias.Key, bias.Value)));
        Assert.Equal(unchecked((ulong)-3L), sampling.Seed);
        Assert.Equal(3, sampling.TopLogprobs);
        Assert.Equal((9, -2, "pepper"), (request.MaxTokens, request.Priority, request.CacheSalt));
        Assert.Equal(DemoModel.Text.Tokenizer.StopIds.Append(11).Order(), request.StopIds.Order());
    }

    [Theory]
    [InlineData("talk-1", "talk-1")]
    [InlineData(null, null)]
    [InlineData("", null)]
    public async Task The_header_of_a_session_reaches_the_engine(string? header, string? key)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = ApiHost.JsonContent("""{"prompt":"x"}""") };
        if (header is not null) message.Headers.Add("X-Session-Id", header);
        using var answer = await _api.Http.SendAsync(message);
        Assert.True(answer.IsSuccessStatusCode);
        Assert.Equal(key, Assert.Single(_api.Engine.Requests).SessionKey);
    }

    [Fact]
    public async Task Defaults_are_OpenAIs()
    {
        await _api.PostAsync("/v1/completions", """{"prompt":"x"}""", 200);
        var sampling = Assert.Single(_api.Engine.Requests).Sampling;
        Assert.Equal((1f, 1f, 0, 0f), (sampling.Temperature, sampling.TopP, sampling.TopK, sampling.MinP));
        Assert.Equal((1f, 0f, 0f), (sampling.RepetitionPenalty, sampling.FrequencyPenalty, sampling.PresencePenalty));
        Assert.Empty(sampling.LogitBias);
        Assert.Null(sampling.TopLogprobs);
        Assert.Equal((0, ""), (_api.Engine.Requests[0].Priority, _api.Engine.Requests[0].CacheSalt));
    }

    [Fact]
    public async Task Clients_are_told_apart_by_key_and_user()
    {
        async Task<string> ClientOfAsync(string more, string? key = null)
        {
            _api.Http.DefaultRequestHeaders.Authorization = key is null ? null : new("Bearer", key);
            await _api.PostAsync("/v1/chat/completions", Requests.Chat(more), 200);
            return _api.Engine.Requests[^1].Client;
        }
        string[] clients =
        [
            await ClientOfAsync("{}"), await ClientOfAsync("{}", "key"),
            await ClientOfAsync("""{"user":"Ann"}""", "key"), await ClientOfAsync("""{"user":"Bob"}""", "key"),
        ];
        Assert.Equal(4, clients.Distinct().Count());
        Assert.Equal(clients[2], await ClientOfAsync("""{"user":"Ann","temperature":0}""", "key"));
        Assert.DoesNotContain("key", clients[1]);
    }

    [Theory]
    [InlineData("""{"max_completion_tokens":7}""")]
    [InlineData("""{"max_tokens":7,"max_completion_tokens":7}""")]
    public async Task Both_names_of_the_limit_are_understood(string more)
    {
        await _api.PostAsync("/v1/chat/completions", Requests.Chat(more), 200);
        Assert.Equal(7, Assert.Single(_api.Engine.Requests).MaxTokens);
    }

    [Theory]
    [InlineData("""{"user":"u","metadata":{"a":"b"},"store":false,"service_tier":"auto","prompt_cache_key":"k","safety_identifier":"s"}""")]
    [InlineData("""{"max_tokens":-1,"max_completion_tokens":-1.0,"repeat_penalty":1.0,"early_stopping":false,"grammar":"","chat_template_kwargs":{}}""")]
    [InlineData("""{"unknown":null,"response_format":{"type":"text","json_schema":null},"stream_options":null,"tools":null,"chat_template_kwargs":null}""")]
    [InlineData("""{"messages":[{"role":"user","name":null,"tool_calls":null,"other":null,"content":[{"type":"text","text":"a","other":null}]}]}""")]
    [InlineData("""{"tools":[],"tool_choice":"none","parallel_tool_calls":true,"functions":null,"function_call":"none"}""")]
    [InlineData("""{"response_format":{"type":"text"},"modalities":["text"],"audio":null,"prediction":null,"reasoning_effort":null}""")]
    [InlineData("""{"temperature":null,"top_p":null,"n":null,"stop":null,"max_tokens":null,"seed":null,"logit_bias":null,"stream":null,"logprobs":null}""")]
    [InlineData("""{"top_k":-1,"best_of":1,"min_tokens":0,"priority":0,"skip_special_tokens":true,"length_penalty":1.0,"use_beam_search":false}""")]
    [InlineData("""{"stop":[],"stop_token_ids":[],"logit_bias":{},"bad_words":[],"echo":false}""")]
    [InlineData("""{"stream":true,"stream_options":{"include_usage":false,"include_obfuscation":false}}""")]
    public async Task Values_that_change_nothing_are_accepted(string more)
    {
        using var response = await _api.PostAsync("/v1/chat/completions", Requests.Chat(more));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        Assert.DoesNotContain(response.Headers, header => header.Key.StartsWith("X-LlamaCluster"));
    }

    [Fact]
    public async Task What_a_client_got_as_an_answer_may_be_sent_back_as_history()
    {
        _api.Engine.Play(Answers.Stopped("Hello."));
        var answer = (await _api.PostAsync("/v1/chat/completions", Requests.Chat(), 200)).GetProperty("choices")[0].GetProperty("message").GetRawText();
        var body = $$"""{"messages":[{"role":"user","content":"Hi"},{{answer}},{"role":"user","content":"And?","name":"Ann"}]}""";
        await _api.PostAsync("/v1/chat/completions", body, 200);
        var text = (await _api.PostAsync("/detokenize", $$"""{"tokens":{{JsonSerializer.Serialize(_api.Engine.Requests[1].Prompt)}}}""", 200))
            .GetProperty("prompt").GetString();
        Assert.Contains("assistant<|end_header_id|>\n\nHello.<|eot_id|>", text);
    }

    public static TheoryData<string> Ranges => [.. ByName.Keys];

    static readonly Dictionary<string, (SamplingRange Range, Func<SamplingOptions, float> Read)> ByName = new()
    {
        ["temperature"] = (SamplingRanges.Temperature, sampling => sampling.Temperature),
        ["top_p"] = (SamplingRanges.TopP, sampling => sampling.TopP),
        ["min_p"] = (SamplingRanges.MinP, sampling => sampling.MinP),
        ["repetition_penalty"] = (SamplingRanges.RepetitionPenalty, sampling => sampling.RepetitionPenalty),
        ["frequency_penalty"] = (SamplingRanges.FrequencyPenalty, sampling => sampling.FrequencyPenalty),
        ["presence_penalty"] = (SamplingRanges.PresencePenalty, sampling => sampling.PresencePenalty),
        ["logit_bias"] = (SamplingRanges.LogitBias, sampling => sampling.LogitBias[7]),
    };

    /// <summary>Values on both sides of each edge, and doubles that are none as floats.</summary>
    [Theory]
    [MemberData(nameof(Ranges))]
    public async Task A_sampling_option_has_the_range_of_the_one_table_as_the_float_that_it_becomes(string name)
    {
        var (range, read) = ByName[name];
        double[] values =
        [
            range.Least, MathF.BitDecrement(range.Least), MathF.BitIncrement(range.Least),
            range.Most, MathF.BitDecrement(range.Most), MathF.BitIncrement(range.Most),
            Math.BitIncrement(range.Most), Math.BitDecrement(range.Least), 1e-50, -1e-50, 1e-46, -0.0, 0.005, 1, 1e39, -1e300,
        ];
        foreach (var value in values)
        {
            var written = value.ToString("R", CultureInfo.InvariantCulture);
            if (range.Contains((float)value))
            {
                await _api.PostAsync("/v1/completions", Body(name, written), 200);
                Assert.Equal((float)value, read(_api.Engine.Requests[^1].Sampling));
            }
            else
            {
                if (name == "top_p" && value == 0) continue; // written so, it means "off"
                await AssertOutOfRangeAsync(name, written, range);
            }
        }
        await AssertOutOfRangeAsync(name, "1e400", range);
        await AssertOutOfRangeAsync(name, "\"NaN\"", range);
        await _api.PostAsync("/v1/completions", Body(name, "NaN"), 400);
    }

    [Theory]
    [InlineData("""{"top_p":1e-50}""", "'top_p' must be a number greater than 0 and at most 1, not 1e-50.")]
    [InlineData("""{"repetition_penalty":0.005}""", "'repetition_penalty' must be a number between 0.01 and 10, not 0.005.")]
    public async Task A_value_that_no_sampler_can_use_is_refused_with_its_range(string more, string message)
    {
        var error = (await _api.PostAsync("/v1/completions", $$"""{"prompt":"x",{{more[1..]}}""", 400)).GetProperty("error");
        Assert.Equal(message, error.GetProperty("message").GetString());
    }

    async Task AssertOutOfRangeAsync(string name, string written, SamplingRange range)
    {
        var error = (await _api.PostAsync("/v1/completions", Body(name, written), 400)).GetProperty("error");
        var field = name == "logit_bias" ? "logit_bias.7" : name;
        Assert.Equal(field, error.GetProperty("param").GetString());
        var (least, most) = (range.Least.ToString(CultureInfo.InvariantCulture), range.Most.ToString(CultureInfo.InvariantCulture));
        var between = range.ExcludesLeast ? $"greater than {least} and at most {most}" : $"between {least} and {most}";
        Assert.Equal($"'{field}' must be a number {between}, not {written}.", error.GetProperty("message").GetString());
    }

    static string Body(string name, string value) => name == "logit_bias"
        ? $$$"""{"prompt":"x","logit_bias":{"7":{{{value}}}}}"""
        : $$"""{"prompt":"x","{{name}}":{{value}}}""";
}
