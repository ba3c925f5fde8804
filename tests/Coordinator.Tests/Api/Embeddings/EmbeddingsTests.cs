using System.Runtime.InteropServices;
using System.Text.Json;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Api.Embeddings;

/// <summary>Vectors of texts, in the APIs that have them.</summary>
public sealed class EmbeddingsTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync()
    {
        _api = await ApiHost.StartAsync();
        // Each text's vector says how long it is and what it ends with.
        _api.Engine.Script = request => Vector(request.Prompt.Count, request.Prompt[^1]).ToAsyncEnumerable();
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Vectors_come_in_the_order_of_the_texts_and_have_the_length_one()
    {
        var answer = await _api.PostAsync("/v1/embeddings", """{"input":[[3,0],[4,4,4,4],[0,12,5]]}""", 200);

        Assert.Equal(("list", "demo"), (answer.GetProperty("object").GetString(), answer.GetProperty("model").GetString()));
        var data = answer.GetProperty("data").EnumerateArray().ToArray();
        Assert.Equal([0, 1, 2], data.Select(one => one.GetProperty("index").GetInt32()));
        Assert.All(data, one => Assert.Equal("embedding", one.GetProperty("object").GetString()));
        Assert.Equal([[1, 0], [0.70710677f, 0.70710677f], [0.51449573f, 0.8574929f]], data.Select(one => one.GetProperty("embedding").Deserialize<float[]>()!));
        Assert.Equal(
            (9, 9),
            (answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), answer.GetProperty("usage").GetProperty("total_tokens").GetInt32()));
        Assert.All(_api.Engine.Requests, request => Assert.Equal((0, Pooling.Last), (request.MaxTokens, request.Sampling.Pooling)));
    }

    [Fact]
    public async Task Base64_holds_the_same_numbers()
    {
        var text = (await _api.PostAsync("/v1/embeddings", """{"input":[4,4,4,4],"encoding_format":"base64"}""", 200))
            .GetProperty("data")[0].GetProperty("embedding");
        Assert.Equal([0.70710677f, 0.70710677f], MemoryMarshal.Cast<byte, float>(text.GetBytesFromBase64()).ToArray());
    }

    [Theory]
    [InlineData("""{"input":[0,12,5],"normalize":false}""", new[] { 3f, 5f })]
    [InlineData("""{"input":[0,12,5],"embd_normalize":-1}""", new[] { 3f, 5f })]
    [InlineData("""{"input":[0,12,5],"embd_normalize":2}""", new[] { 0.51449573f, 0.8574929f })]
    [InlineData("""{"input":[0,12,5],"dimensions":1}""", new[] { 1f })]
    public async Task Length_and_size_are_as_asked(string body, float[] expected)
        => Assert.Equal(expected, (await _api.PostAsync("/v1/embeddings", body, 200)).GetProperty("data")[0].GetProperty("embedding").Deserialize<float[]>());

    [Fact]
    public async Task A_text_is_read_as_completions_read_it()
    {
        await _api.PostAsync("/v1/embeddings", """{"input":"Hello there","user":"me","priority":3}""", 200);
        var ids = (await _api.PostAsync("/tokenize", """{"prompt":"Hello there"}""", 200)).GetProperty("tokens").Deserialize<int[]>();
        Assert.Equal(ids, _api.Engine.Requests[0].Prompt);
        Assert.Equal(3, _api.Engine.Requests[0].Priority);
    }

    [Fact]
    public async Task A_text_may_have_the_whole_context_and_no_more_unless_it_may_be_cut()
    {
        var context = DemoModel.Served.ContextLength;
        string Body(int tokens, string more = "") => $$"""{"input":[{{string.Join(',', Enumerable.Repeat(5, tokens))}}]{{more}}}""";
        Assert.Equal(context, (await _api.PostAsync("/v1/embeddings", Body(context), 200)).GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        var error = (await _api.PostAsync("/v1/embeddings", Body(context + 1), 400)).GetProperty("error");
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
        Assert.Contains($"the prompt has {context + 1}. Shorten", error.GetProperty("message").GetString());
        Assert.Equal(
            context,
            (await _api.PostAsync("/v1/embeddings", Body(context + 1, ",\"truncate_prompt_tokens\":-1"), 200))
                .GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Theory]
    [InlineData("{}", "input", "'input' is required.")]
    [InlineData("""{"input":[]}""", "input", "'input' must not be an empty list.")]
    [InlineData("""{"input":[[]]}""", "input", "'input' is empty: the model needs at least one token to continue.")]
    [InlineData("""{"input":[true]}""", "input", """'input' must be a text, token ids, or a list of either; true is none.""")]
    [InlineData("""{"input":"Hi","encoding_format":"int8"}""", "encoding_format", """'encoding_format' must be "float" or "base64".""")]
    [InlineData("""{"input":"Hi","dimensions":0}""", "dimensions", "'dimensions' must be a whole number between 1 and 256, not 0.")]
    [InlineData("""{"input":"Hi","dimensions":257}""", "dimensions", "'dimensions' must be a whole number between 1 and 256, not 257.")]
    [InlineData(
        """{"input":"Hi","embd_normalize":1}""",
        "embd_normalize", "'embd_normalize' must be 2, for vectors of length 1, or -1, for vectors as they are.")]
    [InlineData(
        """{"input":"Hi","truncate_prompt_tokens":7}""",
        "truncate_prompt_tokens", "'truncate_prompt_tokens' must be -1, which cuts texts to the context.")]
    public async Task What_cannot_be_done_is_refused_by_name(string body, string param, string message)
    {
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { HiddenSize = 256 });
        var error = (await api.PostAsync("/v1/embeddings", body, 400)).GetProperty("error");
        Assert.Equal((param, message), (error.GetProperty("param").GetString(), error.GetProperty("message").GetString()));
        Assert.Empty(api.Engine.Requests);
    }

    [Fact]
    public async Task The_first_error_ends_all_and_is_the_answer()
    {
        _api.Engine.Script = request => request.Prompt[0] == 9
            ? new SequenceEvent[] { new SequenceEvent.Refused("the queue is full", Refusal.QueueFull) }.ToAsyncEnumerable()
            : EndlessStream.After([new SequenceEvent.Begun(0)]);
        using var response = await _api.PostAsync("/v1/embeddings", """{"input":[[1],[2],[9],[3]]}""");
        Assert.Equal(429, (int)response.StatusCode);
        Assert.True(response.Headers.RetryAfter is not null);
        await _api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
    }

    [Fact]
    public async Task A_long_list_is_not_queued_all_at_a_time()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var (running, most) = (0, 0);
        _api.Engine.Script = request => Held(request);
        var answering = _api.PostAsync("/v1/embeddings", $$"""{"input":[{{string.Join(',', Enumerable.Repeat("[1]", 200))}}]}""", 200);
        release.SetResult();
        Assert.Equal(200, (await answering).GetProperty("data").GetArrayLength());
        Assert.InRange(most, 1, 16);

        async IAsyncEnumerable<SequenceEvent> Held(SequenceRequest request)
        {
            var now = Interlocked.Increment(ref running);
            for (var seen = Volatile.Read(ref most); now > seen; seen = Volatile.Read(ref most)) Interlocked.CompareExchange(ref most, now, seen);
            await release.Task;
            Interlocked.Decrement(ref running);
            foreach (var happened in Vector(1, request.Prompt[0])) yield return happened;
        }
    }

    [Fact]
    public async Task Of_a_large_model_fewer_texts_are_taken_at_a_time()
    {
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { HiddenSize = 1 << 20 });
        var error = (await api.PostAsync("/v1/embeddings", $$"""{"input":[{{string.Join(',', Enumerable.Repeat("\"a\"", 9))}}]}""", 400)).GetProperty("error");
        Assert.Equal("'input' has 9 elements; the most allowed is 8.", error.GetProperty("message").GetString());
    }

    [Theory]
    [InlineData(null, Pooling.None, Pooling.Last)]
    [InlineData(null, Pooling.Mean, Pooling.Mean)]
    [InlineData(Pooling.First, Pooling.Mean, Pooling.First)]
    public async Task Pooling_is_as_the_operator_says_else_as_the_files_say_else_by_the_last(Pooling? asked, Pooling files, Pooling used)
    {
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Pooling = files }, options: new ApiOptions { Pooling = asked });
        api.Engine.Script = _ => Vector(1, 1).ToAsyncEnumerable();
        await api.PostAsync("/v1/embeddings", """{"input":"Hi"}""", 200);
        Assert.Equal(used, api.Engine.Requests[0].Sampling.Pooling);
    }

    [Fact]
    public async Task Where_they_are_off_that_is_said()
    {
        await using var api = await ApiHost.StartAsync(options: new ApiOptions { Pooling = Pooling.None });
        var error = (await api.PostAsync("/v1/embeddings", """{"input":"Hi"}""", 501)).GetProperty("error");
        Assert.Equal("Embeddings are switched off here (--pooling none).", error.GetProperty("message").GetString());
        Assert.DoesNotContain(
            "embedding",
            (await api.PostAsync("/api/show", """{"model":"demo"}""", 200)).GetProperty("capabilities").Deserialize<string[]>()!);
    }

    [Fact]
    public async Task Ollama_s_address_gives_vectors_of_length_one_and_its_older_one_a_vector_as_it_is()
    {
        var answer = await _api.PostAsync("/api/embed", """{"model":"demo","input":[[3,0],[4,4,4,4]],"options":{"num_ctx":64},"keep_alive":"5m"}""", 200);
        Assert.Equal([[1, 0], [0.70710677f, 0.70710677f]], answer.GetProperty("embeddings").Deserialize<float[][]>()!);
        Assert.Equal(6, answer.GetProperty("prompt_eval_count").GetInt32());
        Assert.True(answer.GetProperty("total_duration").GetInt64() > 0);

        var old = (await _api.PostAsync("/api/embeddings", """{"model":"demo:latest","prompt":"Hello there"}""", 200))
            .GetProperty("embedding").Deserialize<float[]>()!;
        var ids = _api.Engine.Requests[^1].Prompt;
        Assert.Equal([ids.Count, ids[^1]], old);
        var missing = await _api.PostAsync("/api/embed", """{"model":"demo"}""", 400);
        Assert.Equal("'input' is required.", missing.GetProperty("error").GetString());
    }

    static SequenceEvent[] Vector(params float[] numbers)
        => [new SequenceEvent.Begun(0), new SequenceEvent.Embedded(numbers), new SequenceEvent.Finished(FinishReason.Length)];
}
