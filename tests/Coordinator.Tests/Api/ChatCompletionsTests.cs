using System.Text.Json;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api;

public sealed class ChatCompletionsTests : IAsyncLifetime
{
    const string Path = "/v1/chat/completions";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task A_whole_answer_has_OpenAIs_shape()
    {
        _api.Engine.Play(Answers.Stopped("Hello there."));
        var answer = await _api.PostAsync(Path, """{"model":"demo","messages":[{"role":"user","content":"Hi"}]}""", 200);
        Assert.Equal("chat.completion", answer.GetProperty("object").GetString());
        Assert.StartsWith("chatcmpl-", answer.GetProperty("id").GetString());
        Assert.Equal("demo", answer.GetProperty("model").GetString());
        Assert.Equal("fp_0123456789", answer.GetProperty("system_fingerprint").GetString());
        Assert.InRange(
            DateTimeOffset.FromUnixTimeSeconds(answer.GetProperty("created").GetInt64()),
            DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddMinutes(1));
        var choice = Assert.Single(answer.GetProperty("choices").EnumerateArray());
        Assert.Equal("""{"role":"assistant","content":"Hello there.","refusal":null}""", choice.GetProperty("message").GetRawText());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("logprobs").ValueKind);
        var prompt = Assert.Single(_api.Engine.Requests).Prompt.Count;
        var completion = Answers.IdsOf("Hello there.").Count + 1;
        var total = prompt + completion;
        Assert.Equal(
            $$$"""{"prompt_tokens":{{{prompt}}},"completion_tokens":{{{completion}}},"total_tokens":{{{total}}},"prompt_tokens_details":{"cached_tokens":0}}""",
            answer.GetProperty("usage").GetRawText());
    }

    [Fact]
    public async Task A_stream_opens_with_the_role_and_closes_with_reason_usage_and_done()
    {
        _api.Engine.Play(Answers.Of("Hello there."));
        var events = await _api.StreamAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}}""");
        Assert.Equal("[DONE]", events[^1]);
        var chunks = events.SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement).ToArray();
        Assert.All(chunks, chunk => Assert.Equal("chat.completion.chunk", chunk.GetProperty("object").GetString()));
        Assert.Single(chunks.Select(chunk => chunk.GetProperty("id").GetString()).Distinct());
        Assert.Equal(
            """{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}""",
            chunks[0].GetProperty("choices")[0].GetRawText());
        Assert.Equal(
            "Hello there.",
            string.Concat(chunks[1..^2].Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta").GetProperty("content").GetString())));
        Assert.Equal("""{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}""", chunks[^2].GetProperty("choices")[0].GetRawText());
        Assert.All(chunks.SkipLast(1), chunk => Assert.Equal(JsonValueKind.Null, chunk.GetProperty("usage").ValueKind));
        Assert.Empty(chunks[^1].GetProperty("choices").EnumerateArray());
        Assert.Equal(Answers.IdsOf("Hello there.").Count, chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task A_stream_without_usage_does_not_speak_of_it()
    {
        _api.Engine.Play(Answers.Of("Hi"));
        var events = await _api.StreamAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stream":true}""");
        Assert.DoesNotContain(events, data => data.Contains("usage"));
    }

    [Fact]
    public async Task Characters_that_tokens_split_arrive_whole()
    {
        const string text = "naïve 数字 🙂👍🏽 done";
        _api.Engine.Play(Answers.BytesOf(text));
        var events = await _api.StreamAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stream":true}""");
        var pieces = events.Skip(1).SkipLast(2)
            .Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0].GetProperty("delta").GetProperty("content").GetString()!)
            .ToArray();
        Assert.Equal(text, string.Concat(pieces));
        Assert.All(pieces, piece => Assert.DoesNotContain('\uFFFD', piece));
    }

    [Theory]
    [InlineData("one two END three", """["END"]""", "one two ", "stop")]
    [InlineData("one two END three", "\" two E\"", "one", "stop")]
    [InlineData("one two EN", """["END"]""", "one two EN", "length")]
    [InlineData("ababac rest", """["ababab","abac"]""", "ab", "stop")]
    [InlineData("smile 🙂 end", """["🙂"]""", "smile ", "stop")]
    public async Task Stop_texts_end_an_answer_across_token_borders(string text, string stop, string expected, string reason)
    {
        _api.Engine.Play(Answers.BytesOf(text));
        var body = $$"""{"messages":[{"role":"user","content":"Hi"}],"stop":{{stop}}}""";
        var choice = (await _api.PostAsync(Path, body, 200)).GetProperty("choices")[0];
        Assert.Equal(expected, choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(reason, choice.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task A_stop_text_cancels_its_sequence_at_once()
    {
        _api.Engine.Script = _ => EndlessStream.After(Answers.BytesOf("go on STOP").SkipLast(1));
        var answer = await _api.PostAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"stop":"STOP"}""", 200);
        Assert.Equal("go on ", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        await _api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
    }

    [Fact]
    public async Task Several_choices_run_side_by_side_with_seeds_of_their_own()
    {
        _api.Engine.Script = request => Answers.Of($"seed {request.Sampling.Seed}").ToAsyncEnumerable();
        var answer = await _api.PostAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"n":3,"seed":7}""", 200);
        Assert.Equal(
            ["seed 7", "seed 8", "seed 9"],
            answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("message").GetProperty("content").GetString()));
        Assert.Equal([0, 1, 2], answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.Equal(3 * Answers.IdsOf("seed 7").Count, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(_api.Engine.Requests[0].Prompt.Count, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task Without_a_seed_each_choice_draws_one()
    {
        await _api.PostAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"n":4}""", 200);
        Assert.Equal(4, _api.Engine.Requests.Select(request => request.Sampling.Seed).Distinct().Count());
    }

    [Fact]
    public async Task Log_probabilities_come_with_bytes_and_alternatives()
    {
        var hello = Answers.IdsOf("Hello")[0];
        var text = DemoModel.Text.Tokenizer.BytesOf(hello).ToArray();
        _api.Engine.Play(
            Answers.Token(hello, -0.25f, new(hello, -0.25f), new(65, float.NegativeInfinity)),
            Answers.Token(DemoModel.EndOfTurn), new SequenceEvent.Finished(FinishReason.Stop));
        var answer = await _api.PostAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"logprobs":true,"top_logprobs":2}""", 200);
        Assert.Equal(2, _api.Engine.Requests[0].Sampling.TopLogprobs);
        var token = Assert.Single(answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").EnumerateArray());
        Assert.Equal(-0.25, token.GetProperty("logprob").GetDouble());
        Assert.Equal(text.Select(value => (int)value), token.GetProperty("bytes").EnumerateArray().Select(value => value.GetInt32()));
        Assert.Equal([-0.25, -9999], token.GetProperty("top_logprobs").EnumerateArray().Select(top => top.GetProperty("logprob").GetDouble()));
    }

    [Fact]
    public async Task Streamed_log_probabilities_are_those_of_the_text_sent()
    {
        _api.Engine.Play(Answers.BytesOf("keep STOP"));
        var events = await _api.StreamAsync(Path, """{"messages":[{"role":"user","content":"Hi"}],"logprobs":true,"stop":"STOP","stream":true}""");
        var tokens = events.SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0].GetProperty("logprobs"))
            .Where(logprobs => logprobs.ValueKind == JsonValueKind.Object)
            .SelectMany(logprobs => logprobs.GetProperty("content").EnumerateArray().Select(token => token.GetProperty("token").GetString()));
        Assert.Equal("keep ", string.Concat(tokens));
    }

    [Fact]
    public async Task The_prompt_is_what_the_models_template_writes()
    {
        await _api.PostAsync(
            Path,
            """{"messages":[{"role":"developer","content":"Be brief."},"""
            + """{"role":"user","content":[{"type":"text","text":"One"},{"type":"text","text":"Two"}]}]}""",
            200);
        var bytes = new List<byte>();
        DemoModel.Text.Tokenizer.Decode([.. _api.Engine.Requests[0].Prompt], bytes, includeControl: true);
        var prompt = System.Text.Encoding.UTF8.GetString([.. bytes]);
        Assert.Contains("<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>", prompt);
        Assert.EndsWith("<|start_header_id|>user<|end_header_id|>\n\nOne\nTwo<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", prompt);
        Assert.Equal(DemoModel.Text.Tokenizer.BosId, _api.Engine.Requests[0].Prompt[0]);
        Assert.NotEqual(DemoModel.Text.Tokenizer.BosId, _api.Engine.Requests[0].Prompt[1]);
    }

    [Fact]
    public async Task Without_a_limit_the_answer_may_fill_the_context()
    {
        await _api.PostAsync(Path, """{"messages":[{"role":"user","content":"Hi"}]}""", 200);
        var request = Assert.Single(_api.Engine.Requests);
        Assert.Equal(DemoModel.Context, request.Prompt.Count + request.MaxTokens);
    }

    [Fact]
    public async Task A_model_without_a_template_cannot_chat()
    {
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Template = null });
        var error = (await api.PostAsync(Path, """{"messages":[{"role":"user","content":"Hi"}]}""", 400)).GetProperty("error");
        Assert.Contains("no chat template", error.GetProperty("message").GetString());
    }
}
