using System.Text.Json;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Api;

public sealed class CompletionsTests : IAsyncLifetime
{
    const string Path = "/v1/completions";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task A_whole_answer_has_OpenAIs_shape()
    {
        _api.Engine.Play(Answers.Of(" a time"));
        var answer = await _api.PostAsync(Path, """{"model":"demo","prompt":"Once upon","max_tokens":8}""", 200);
        Assert.Equal("text_completion", answer.GetProperty("object").GetString());
        Assert.StartsWith("cmpl-", answer.GetProperty("id").GetString());
        Assert.Equal("""[{"index":0,"text":" a time","logprobs":null,"finish_reason":"length"}]""", answer.GetProperty("choices").GetRawText());
        Assert.Equal(8, Assert.Single(_api.Engine.Requests).MaxTokens);
    }

    [Fact]
    public async Task A_stream_has_chunks_of_the_same_shape()
    {
        _api.Engine.Play(Answers.Stopped("a b"));
        var events = await _api.StreamAsync(Path, """{"prompt":"Once","stream":true}""");
        Assert.Equal("[DONE]", events[^1]);
        var choices = events.SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0]).ToArray();
        Assert.Equal("a b", string.Concat(choices.Select(choice => choice.GetProperty("text").GetString())));
        Assert.Equal("stop", choices[^1].GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData("\"Once\"", 1)]
    [InlineData("""["Once","upon"]""", 2)]
    [InlineData("[1,2,3]", 1)]
    [InlineData("[[1,2,3],[4]]", 2)]
    [InlineData("""["Once",[4]]""", 2)]
    public async Task A_prompt_is_text_or_ids_or_a_list_of_either(string prompt, int prompts)
    {
        var answer = await _api.PostAsync(Path, $$"""{"prompt":{{prompt}},"n":2,"seed":1}""", 200);
        Assert.Equal(Enumerable.Range(0, prompts * 2), answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.Equal(prompts * 2, _api.Engine.Requests.Count);
    }

    [Fact]
    public async Task Choices_are_in_the_order_of_their_prompts()
    {
        _api.Engine.Script = request => Answers.Of($"{request.Prompt[0]}/{request.Sampling.Seed}").ToAsyncEnumerable();
        var answer = await _api.PostAsync(Path, """{"prompt":[[7],[8]],"n":2,"seed":1}""", 200);
        Assert.Equal(["7/1", "7/2", "8/1", "8/2"], answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("text").GetString()));
        Assert.Equal(2, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task Ids_are_read_as_they_stand_and_text_gets_a_bos()
    {
        await _api.PostAsync(Path, """{"prompt":[5,6]}""", 200);
        await _api.PostAsync(Path, """{"prompt":"Hi"}""", 200);
        await _api.PostAsync(Path, """{"prompt":"Hi","add_special_tokens":false}""", 200);
        Assert.Equal([5, 6], _api.Engine.Requests[0].Prompt);
        Assert.Equal([DemoModel.Text.Tokenizer.BosId!.Value, .. Answers.IdsOf("Hi")], _api.Engine.Requests[1].Prompt);
        Assert.Equal(Answers.IdsOf("Hi"), _api.Engine.Requests[2].Prompt);
    }

    [Fact]
    public async Task Log_probabilities_have_one_element_per_token_and_the_chosen_one_among_the_top()
    {
        var ids = Answers.IdsOf("🙂 ok");
        _api.Engine.Play([.. ids.Select(id => Answers.Token(id, -1, new TokenLogprob(65, -0.5f))), new SequenceEvent.Finished(FinishReason.Length)]);
        var logprobs = (await _api.PostAsync(Path, """{"prompt":"x","logprobs":1}""", 200)).GetProperty("choices")[0].GetProperty("logprobs");
        Assert.Equal(ids.Count, logprobs.GetProperty("tokens").GetArrayLength());
        Assert.All(logprobs.GetProperty("token_logprobs").EnumerateArray(), logprob => Assert.Equal(-1, logprob.GetDouble()));
        Assert.All(logprobs.GetProperty("top_logprobs").EnumerateArray(), top => Assert.Equal(2, top.GetPropertyCount()));
        var offsets = logprobs.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32()).ToArray();
        var inSmile = Answers.IdsOf("🙂").Count;
        Assert.All(offsets[..inSmile], offset => Assert.Equal(0, offset)); // parts of the first character
        Assert.Equal(1, offsets[inSmile]); // Unicode characters, not UTF-16 units
    }

    [Fact]
    public async Task Echo_puts_the_prompt_in_front()
    {
        _api.Engine.Play(Answers.Of(" a time"));
        var answer = await _api.PostAsync(Path, """{"prompt":"Once upon","echo":true}""", 200);
        Assert.Equal("Once upon a time", answer.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.False(_api.Engine.Requests[0].Sampling.PromptLogprobs);
    }

    [Fact]
    public async Task Echo_with_log_probabilities_scores_the_prompt()
    {
        _api.Engine.Script = Scored(Answers.Of(" time"));
        var answer = await _api.PostAsync(Path, """{"prompt":"Né à","echo":true,"logprobs":0}""", 200);
        var request = _api.Engine.Requests[0];
        Assert.True(request.Sampling.PromptLogprobs);
        var choice = answer.GetProperty("choices")[0];
        Assert.Equal("Né à time", choice.GetProperty("text").GetString());
        var logprobs = choice.GetProperty("logprobs");
        Assert.Equal(request.Prompt.Count + Answers.IdsOf(" time").Count, logprobs.GetProperty("tokens").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, logprobs.GetProperty("token_logprobs")[0].ValueKind);
        Assert.Equal(JsonValueKind.Null, logprobs.GetProperty("top_logprobs")[0].ValueKind);
        Assert.Equal(-2, logprobs.GetProperty("token_logprobs")[1].GetDouble());
        Assert.Equal("<|begin_of_text|>", logprobs.GetProperty("tokens")[0].GetString());
        Assert.Equal(0, logprobs.GetProperty("text_offset")[1].GetInt32()); // bos is not in the text
        Assert.Equal(4, logprobs.GetProperty("text_offset")[request.Prompt.Count].GetInt32());
    }

    [Fact]
    public async Task Echo_of_no_tokens_scores_a_prompt_and_generates_nothing()
    {
        _api.Engine.Script = Scored(Answers.Of(" time"));
        var answer = await _api.PostAsync(Path, """{"prompt":[5,6,7],"echo":true,"logprobs":1,"max_tokens":0}""", 200);
        var choice = answer.GetProperty("choices")[0];
        Assert.Equal(3, choice.GetProperty("logprobs").GetProperty("tokens").GetArrayLength());
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(0, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(1, _api.Engine.Requests[0].MaxTokens);
    }

    [Fact]
    public async Task An_echo_is_streamed_first()
    {
        _api.Engine.Script = Scored(Answers.Of(" time"));
        var events = await _api.StreamAsync(Path, """{"prompt":"Once","echo":true,"logprobs":0,"stream":true}""");
        var first = JsonDocument.Parse(events[0]).RootElement.GetProperty("choices")[0];
        Assert.StartsWith("Once", first.GetProperty("text").GetString());
        Assert.Equal(JsonValueKind.Null, first.GetProperty("logprobs").GetProperty("token_logprobs")[0].ValueKind);
    }

    [Fact]
    public async Task Control_tokens_are_no_text_and_ignore_eos_goes_on_after_them()
    {
        _api.Engine.Play([.. Answers.IdsOf("a").Select(id => Answers.Token(id)), Answers.Token(DemoModel.EndOfTurn), .. Answers.Of("b")]);
        var answer = await _api.PostAsync(Path, """{"prompt":"x","ignore_eos":true,"stop_token_ids":[9]}""", 200);
        Assert.Equal("ab", answer.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.Equal([9], _api.Engine.Requests[0].StopIds);
    }

    [Theory]
    [InlineData("/v1/completions", """{"prompt":[1,2,3,4,5],"n":2,"seed":1}""", 3)]
    [InlineData("/v1/completions", """{"prompt":[[1,2,3,4,5],[1,2,3,4,5,6]],"n":2,"seed":1}""", 6)]
    [InlineData("/v1/completions", """{"prompt":[1,2,3,4,5],"n":2,"seed":2}""", 4)]
    [InlineData("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hi"}],"n":2,"seed":1}""", 3)]
    public async Task Tokens_that_no_choice_had_to_compute_are_cached_ones(string path, string body, int cached)
    {
        // The second choice of a prompt takes over what the first one computed, which in turn found three tokens.
        _api.Engine.Script = request =>
            Answers.Of("ok").Prepend(new SequenceEvent.Begun(request.Sampling.Seed == 1 ? 3 : request.Prompt.Count - 1)).ToAsyncEnumerable();
        var whole = await _api.PostAsync(path, body, 200);
        Assert.Equal(cached, Cached(whole));
        var events = await _api.StreamAsync(path, body[..^1] + ""","stream":true,"stream_options":{"include_usage":true}}""");
        Assert.Equal(cached, Cached(JsonDocument.Parse(events[^2]).RootElement));
    }

    static int Cached(JsonElement answer) => answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();

    /// <summary>Scores the prompt in two parts, then plays the events.</summary>
    static Func<SequenceRequest, IAsyncEnumerable<SequenceEvent>> Scored(SequenceEvent[] answer) => request =>
    {
        var scores = request.Prompt.Skip(1).Select(id => new SampledToken(id, -2, [])).ToArray();
        return new SequenceEvent[] { new SequenceEvent.Prompt(scores[..1]), new SequenceEvent.Prompt(scores[1..]) }.Concat(answer).ToAsyncEnumerable();
    };
}
