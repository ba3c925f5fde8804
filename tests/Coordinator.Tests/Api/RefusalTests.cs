using System.Text;
using System.Text.Json;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>What is wrong, or asks for what is not there, is refused by name, in OpenAI's shape.</summary>
public sealed class RefusalTests : IAsyncLifetime
{
    const string Chat = "/v1/chat/completions";
    const string Completions = "/v1/completions";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("""{"temperature":-0.1}""", "temperature")]
    [InlineData("""{"temperature":2.1}""", "temperature")]
    [InlineData("""{"temperature":"hot"}""", "temperature")]
    [InlineData("""{"temperature":1e999}""", "temperature")]
    [InlineData("""{"top_p":-0.1}""", "top_p")]
    [InlineData("""{"top_p":1.01}""", "top_p")]
    [InlineData("""{"top_k":-2}""", "top_k")]
    [InlineData("""{"top_k":1.5}""", "top_k")]
    [InlineData("""{"min_p":1.5}""", "min_p")]
    [InlineData("""{"repetition_penalty":0}""", "repetition_penalty")]
    [InlineData("""{"frequency_penalty":2.5}""", "frequency_penalty")]
    [InlineData("""{"presence_penalty":-2.5}""", "presence_penalty")]
    [InlineData("""{"logit_bias":[1]}""", "logit_bias")]
    [InlineData("""{"logit_bias":{"x":1}}""", "logit_bias")]
    [InlineData("""{"logit_bias":{"2048":1}}""", "logit_bias")]
    [InlineData("""{"logit_bias":{"-1":1}}""", "logit_bias")]
    [InlineData("""{"logit_bias":{"1":101}}""", "logit_bias.1")]
    [InlineData("""{"seed":9223372036854775808}""", "seed")]
    [InlineData("""{"seed":"1"}""", "seed")]
    [InlineData("""{"n":0}""", "n")]
    [InlineData("""{"n":129}""", "n")]
    [InlineData("""{"n":2,"best_of":3}""", "best_of")]
    [InlineData("""{"max_tokens":0}""", "max_tokens")]
    [InlineData("""{"max_tokens":-5}""", "max_tokens")]
    [InlineData("""{"max_tokens":1e30}""", "max_tokens")]
    [InlineData("""{"max_tokens":5,"max_completion_tokens":6}""", "max_tokens")]
    [InlineData("""{"stop":5}""", "stop")]
    [InlineData("""{"stop":""}""", "stop")]
    [InlineData("""{"stop":["a",7]}""", "stop")]
    [InlineData("""{"stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"]}""", "stop")]
    [InlineData("""{"stop_token_ids":[2048]}""", "stop_token_ids")]
    [InlineData("""{"stop_token_ids":"5"}""", "stop_token_ids")]
    [InlineData("""{"stream":"yes"}""", "stream")]
    [InlineData("""{"stream_options":{"include_usage":true}}""", "stream_options")]
    [InlineData("""{"stream":true,"stream_options":{"include_usage":1}}""", "stream_options.include_usage")]
    [InlineData("""{"min_tokens":-1}""", "min_tokens")]
    [InlineData("""{"min_tokens":3,"max_tokens":2}""", "min_tokens")]
    [InlineData("""{"repeat_penalty":0}""", "repeat_penalty")]
    [InlineData("""{"repeat_penalty":1.1,"repetition_penalty":1.2}""", "repeat_penalty")]
    [InlineData("""{"max_tokens":-1.5}""", "max_tokens")]
    [InlineData("""{"max_tokens":5.5}""", "max_tokens")]
    [InlineData("""{"seed":1e30}""", "seed")]
    [InlineData("""{"logit_bias":{"05":1}}""", "logit_bias")]
    [InlineData("""{"guided_json":{"uniqueItems":true}}""", "guided_json")]
    [InlineData("""{"grammar":"root ::= x"}""", "grammar")]
    [InlineData("""{"early_stopping":true}""", "early_stopping")]
    [InlineData("""{"priority":1.5}""", "priority")]
    [InlineData("""{"priority":2147483648}""", "priority")]
    [InlineData("""{"cache_salt":""}""", "cache_salt")]
    [InlineData("""{"cache_salt":7}""", "cache_salt")]
    [InlineData("""{"user":7}""", "user")]
    [InlineData("""{"response_format":{"type":"xml"}}""", "response_format.type")]
    [InlineData("""{"include_stop_str_in_output":true}""", "include_stop_str_in_output")]
    [InlineData("""{"skip_special_tokens":false}""", "skip_special_tokens")]
    [InlineData("""{"use_beam_search":true}""", "use_beam_search")]
    public async Task Both_completions_refuse(string more, string param)
    {
        await AssertRefusedAsync(Chat, Requests.Chat(more), param);
        await AssertRefusedAsync(Completions, Requests.Completion(more), param);
    }

    [Theory]
    [InlineData("""{"messages":null}""", "messages")]
    [InlineData("""{"messages":"Hi"}""", "messages")]
    [InlineData("""{"messages":[]}""", "messages")]
    [InlineData("""{"messages":["Hi"]}""", "messages[0]")]
    [InlineData("""{"messages":[{"content":"Hi"}]}""", "messages[0].role")]
    [InlineData("""{"messages":[{"role":"boss","content":"Hi"}]}""", "messages[0].role")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi","tool_call_id":"1"}]}""", "messages[0].tool_call_id")]
    [InlineData("""{"messages":[{"role":"user"}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"user","content":5}]}""", "messages[0].content")]
    [InlineData(
        """{"messages":[{"role":"user","content":"Hi"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}""",
        "messages[1].content[0].type")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]}""", "messages[0].content[0].type")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"text"}]}]}""", "messages[0].content[0].text")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[{"id":"c"}]}]}""", "messages[1].tool_calls[0].function")]
    [InlineData("""{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{}}]}]}""", "messages[0].tool_calls[0].function.name")]
    [InlineData("""{"messages":[{"role":"assistant","content":null,"tool_calls":[{"type":"x","function":{"name":"f"}}]}]}""", "messages[0].tool_calls[0].type")]
    [InlineData(
        """{"messages":[{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":5}}]}]}""",
        "messages[0].tool_calls[0].function.arguments")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi","tool_calls":[{"function":{"name":"f"}}]}]}""", "messages[0].tool_calls")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":null,"refusal":"No."}]}""", "messages[1].refusal")]
    [InlineData("""{"messages":[{"role":"assistant","content":null,"tool_calls":[]}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"assistant","content":null}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"assistant","content":"a","function_call":{"name":"f"}}]}""", "messages[0].function_call")]
    [InlineData("""{"messages":[{"role":"function","name":"f","content":"a"}]}""", "messages[0].role")]
    [InlineData("""{"tools":[{"type":"function"}]}""", "tools[0].function")]
    [InlineData("""{"tools":[{"type":"web_search","function":{"name":"f"}}]}""", "tools[0].type")]
    [InlineData("""{"tools":[{"type":"function","function":{}}]}""", "tools[0].function.name")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"a b"}}]}""", "tools[0].function.name")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]}""", "tools[0].function.parameters")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"f","strict":1}}]}""", "tools[0].function.strict")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]}""", "tools")]
    [InlineData("""{"tools":{}}""", "tools")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"maybe"}""", "tool_choice")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"g"}}}""", "tool_choice")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"custom","custom":{"name":"f"}}}""", "tool_choice.type")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function"}}""", "tool_choice.function")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools"}}""", "tool_choice.allowed_tools")]
    [InlineData(
        """{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}}""",
        "tool_choice.allowed_tools.tools")]
    [InlineData(
        """{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"""
        + """{"type":"allowed_tools","allowed_tools":{"mode":"some","tools":[{"function":{"name":"f"}}]}}}""",
        "tool_choice.allowed_tools.mode")]
    [InlineData(
        """{"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"""
        + """{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"g"}}]}}}""",
        "tool_choice")]
    [InlineData("""{"tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":"no"}""", "parallel_tool_calls")]
    [InlineData("""{"tool_choice":"required"}""", "tool_choice")]
    [InlineData("""{"functions":[{}]}""", "functions")]
    [InlineData("""{"logprobs":3}""", "logprobs")]
    [InlineData("""{"top_logprobs":3}""", "top_logprobs")]
    [InlineData("""{"logprobs":true,"top_logprobs":21}""", "top_logprobs")]
    [InlineData("""{"modalities":["text","audio"]}""", "modalities")]
    [InlineData("""{"audio":{"voice":"alloy"}}""", "audio")]
    [InlineData("""{"chat_template_kwargs":[]}""", "chat_template_kwargs")]
    [InlineData("""{"chat_template_kwargs":{"messages":[]}}""", "chat_template_kwargs.messages")]
    [InlineData("""{"chat_template":"x"}""", "chat_template")]
    [InlineData("""{"echo":true}""", "echo")]
    public Task Chat_refuses(string more, string param) => AssertRefusedAsync(Chat, Requests.Chat(more), param);

    [Theory]
    [InlineData("""{"prompt":null}""", "prompt")]
    [InlineData("""{"prompt":5}""", "prompt")]
    [InlineData("""{"prompt":[]}""", "prompt")]
    [InlineData("""{"prompt":[[]]}""", "prompt")]
    [InlineData("""{"prompt":["a",5]}""", "prompt")]
    [InlineData("""{"prompt":[1,"a"]}""", "prompt")]
    [InlineData("""{"prompt":[-1]}""", "prompt")]
    [InlineData("""{"prompt":[2048]}""", "prompt")]
    [InlineData("""{"prompt":[1.5]}""", "prompt")]
    [InlineData("""{"prompt":"","add_special_tokens":false}""", "prompt")]
    [InlineData("""{"prompt":["a","b"],"n":65}""", "n")]
    [InlineData("""{"logprobs":21}""", "logprobs")]
    [InlineData("""{"suffix":"end"}""", "suffix")]
    [InlineData("""{"logprobs":1.5}""", "logprobs")]
    public Task Completions_refuse(string more, string param) => AssertRefusedAsync(Completions, Requests.Completion(more), param);

    [Theory]
    [InlineData("""{"prompt":"a","max_tokens":5,"max_tokens":6}""", "max_tokens")]
    [InlineData("""{"prompt":"a","stream_options":{"include_usage":true,"include_usage":true}}""", "stream_options.include_usage")]
    [InlineData("""{"prompt":["a",{"x":1,"y":2,"\u0078":3}]}""", "prompt[1].x")]
    public async Task A_name_that_is_there_twice_is_named(string body, string param)
    {
        var error = (await _api.PostAsync(Completions, body, 400)).GetProperty("error");
        Assert.Equal((param, "duplicate_parameter"), (error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        Assert.Equal($"'{param}' is there more than once; give each field once.", error.GetProperty("message").GetString());
    }

    [Theory]
    [InlineData("""{"prompt":"x","NAME":1}""", true)]
    [InlineData("""{"prompt":"x","logit_bias":{"NAME":1}}""", false)]
    [InlineData("""{"prompt":"x","NAME":1,"NAME":2}""", false)]
    [InlineData("""{"prompt":"x","model":"NAME"}""", false)]
    public async Task A_name_of_100_kB_is_not_given_back(string body, bool strict)
    {
        await using var api = await ApiHost.StartAsync(options: new() { StrictFields = strict });
        using var response = await api.PostAsync(Completions, body.Replace("NAME", new string('n', 100_000)));
        Assert.InRange((int)response.StatusCode, 400, 404);
        Assert.InRange((await response.Content.ReadAsStringAsync()).Length, 1, 1000);
    }

    [Fact]
    public async Task A_body_that_is_not_UTF_8_is_refused_wherever_the_wrong_bytes_are()
    {
        foreach (var body in new[] { """{"prompt":"#"}""", """{"prompt":"a","top_p":"#"}""", """{"prompt":"a","#":1}""", """{"prompt":"a","stop":["#"]}""" })
        {
            byte[] bytes = [.. Encoding.UTF8.GetBytes(body).Select(letter => letter == '#' ? (byte)0xFF : letter)];
            using var response = await _api.Http.PostAsync(Completions, new ByteArrayContent(bytes) { Headers = { ContentType = new("application/json") } });
            Assert.Equal(400, (int)response.StatusCode);
            Assert.Contains("not UTF-8", await response.Content.ReadAsStringAsync());
        }
    }

    [Fact]
    public async Task A_byte_order_mark_is_no_part_of_a_body()
    {
        byte[] bytes = [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes(Requests.Completion())];
        using var response = await _api.Http.PostAsync(Completions, new ByteArrayContent(bytes) { Headers = { ContentType = new("application/json") } });
        Assert.Equal(200, (int)response.StatusCode);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("\"text\"")]
    [InlineData("{\"prompt\":\"a\",}")]
    [InlineData("{\"prompt\":\"a\"} more")]
    [InlineData("{\"prompt\":NaN}")]
    [InlineData("{\"prompt\":\"a\",\"prompt\":\"b\"}")]
    [InlineData("{\"prompt\":\"a\",\"\\ud800\":1}")]
    public async Task What_is_no_JSON_object_is_refused(string body)
    {
        var error = (await _api.PostAsync(Completions, body, 400)).GetProperty("error");
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.DoesNotContain("\n", error.GetProperty("message").GetString());
    }

    [Theory]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"\ud800"}]}""", "messages[0].content")]
    [InlineData(
        Chat,
        """{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"a":"\ud800"}}}]}""",
        "tools[0].function.parameters")]
    [InlineData(Completions, """{"prompt":"\udc00"}""", "prompt")]
    [InlineData(Completions, """{"prompt":"a","stop":"\ud800"}""", "stop")]
    public Task Half_a_character_is_refused(string path, string body, string param) => AssertRefusedAsync(path, body, param);

    [Fact]
    public Task Deep_nesting_is_refused() => _api.PostAsync(Completions, $$"""{"prompt":{{new string('[', 100_000)}}""", 400);

    [Theory]
    [InlineData(Chat)]
    [InlineData(Completions)]
    public async Task An_unknown_model_is_not_found(string path)
    {
        var error = (await _api.PostAsync(path, path == Chat ? Requests.Chat("""{"model":"gpt-9"}""") : Requests.Completion("""{"model":"gpt-9"}"""), 404))
            .GetProperty("error");
        Assert.Equal("model_not_found", error.GetProperty("code").GetString());
        Assert.Equal("model", error.GetProperty("param").GetString());
        Assert.Contains("'gpt-9'", error.GetProperty("message").GetString());
        Assert.Contains("'demo'", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task A_prompt_longer_than_the_context_is_refused_with_the_arithmetic()
    {
        var ids = string.Join(',', Enumerable.Repeat(65, DemoModel.Context));
        var error = await AssertRefusedAsync(Completions, $$"""{"prompt":[{{ids}}]}""", "prompt");
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
        Assert.Contains("512", error.GetProperty("message").GetString());
        var words = string.Join(' ', Enumerable.Repeat("word", 2000));
        error = await AssertRefusedAsync(Chat, Requests.Chat($$"""{"messages":[{"role":"user","content":"{{words}}"}]}"""), "messages");
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task Prompt_and_answer_must_fit_the_context_together_if_the_operator_wants_it_strict()
    {
        await using var api = await ApiHost.StartAsync(options: new() { StrictMaxTokens = true });
        var ids = string.Join(',', Enumerable.Repeat(65, 500));
        await api.PostAsync(Completions, $$"""{"prompt":[{{ids}}],"max_tokens":12}""", 200);
        var error = (await api.PostAsync(Completions, $$"""{"prompt":[{{ids}}],"max_tokens":13}""", 400)).GetProperty("error");
        Assert.Equal(("context_length_exceeded", "prompt"), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Contains("513 were asked for: 500 in the prompt and 13 for the answer", error.GetProperty("message").GetString());
        await api.PostAsync(Completions, $$"""{"prompt":[{{ids}}],"max_tokens":2147483647}""", 400);
    }

    [Fact]
    public async Task A_conversation_that_the_template_refuses_says_why()
    {
        var template = LlamaCluster.Text.Templates.ChatTemplate.Parse("{{ raise_exception('roles must alternate') }}");
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Template = template });
        var error = (await api.PostAsync(Chat, Requests.Chat(), 400)).GetProperty("error");
        Assert.Contains("roles must alternate", error.GetProperty("message").GetString());
    }

    async Task<JsonElement> AssertRefusedAsync(string path, string body, string param)
    {
        var error = (await _api.PostAsync(path, body, 400)).GetProperty("error");
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.Equal(param, error.GetProperty("param").GetString());
        if (error.GetProperty("code").GetString() is not "context_length_exceeded") Assert.Contains(param, error.GetProperty("message").GetString());
        Assert.DoesNotContain("\n", error.GetProperty("message").GetString());
        return error;
    }
}
