using System.Text.Json;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Tests.Api.LlamaCpp;

/// <summary>Text between two others, in the APIs of llama.cpp, OpenAI and Ollama.</summary>
public sealed class InfillTests : IAsyncLifetime
{
    // Any tokens can be marks, where the files say so.
    const int Prefix = 300, Suffix = 301, Middle = 302, Repository = 303, Separator = 304;

    static readonly InfillIds Marks = new(Prefix, Suffix, Middle);
    static readonly ITokenizer Tokenizer = DemoModel.Text.Tokenizer;

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync(DemoModel.Served with { InfillIds = Marks });

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("/infill", """{"input_prefix":"def add(a, b):\n    ","input_suffix":"\n\nprint(add(1, 2))"}""")]
    [InlineData("/infill", """{"input_prefix":"def add(a, b):\n","prompt":"    ","input_suffix":"\n\nprint(add(1, 2))","input_extra":[]}""")]
    [InlineData("/v1/completions", """{"prompt":"def add(a, b):\n    ","suffix":"\n\nprint(add(1, 2))"}""")]
    [InlineData("/api/generate", """{"model":"demo","prompt":"def add(a, b):\n    ","suffix":"\n\nprint(add(1, 2))","stream":false}""")]
    public async Task Prefix_and_suffix_stand_between_their_marks(string address, string body)
    {
        _api.Engine.Play(Answers.Stopped("return a + b"));
        var answer = await _api.PostAsync(address, body, 200);
        Assert.Contains("return a + b", answer.GetRawText());
        int[] expected = [.. Bos, Prefix, .. Ids("def add(a, b):\n    "), Suffix, .. Ids("\n\nprint(add(1, 2))"), Middle];
        Assert.Equal(expected, _api.Engine.Requests[0].Prompt);
    }

    [Fact]
    public async Task The_whole_answer_is_llama_cpps()
    {
        _api.Engine.Play(Answers.Stopped("one\ntwo"));
        var answer = await _api.PostAsync(
            "/infill",
            """{"input_prefix":"a","input_suffix":"b","n_predict":9,"seed":5,"cache_prompt":true,"samplers":["top_k"],"t_max_predict_ms":500}""",
            200);
        Assert.Equal(("one\ntwo", true, "eos", true), (answer.GetProperty("content").GetString(), answer.GetProperty("stop").GetBoolean(),
            answer.GetProperty("stop_type").GetString(), answer.GetProperty("has_new_line").GetBoolean()));
        Assert.Equal(_api.Engine.Requests[0].Prompt.Count, answer.GetProperty("timings").GetProperty("prompt_n").GetInt32());
        var request = _api.Engine.Requests[0];
        Assert.Equal(
            (9, 5UL, 0.8f, 40, 0.95f, 0.05f),
            (request.MaxTokens, request.Sampling.Seed, request.Sampling.Temperature, request.Sampling.TopK, request.Sampling.TopP, request.Sampling.MinP));
    }

    [Fact]
    public async Task A_stream_ends_with_what_there_is_to_say_of_it()
    {
        _api.Engine.Play(Answers.Of("a + b"));
        var events = (await _api.StreamAsync("/infill", """{"input_prefix":"a","input_suffix":"b","stream":true}"""))
            .Select(data => JsonDocument.Parse(data).RootElement).ToArray();
        Assert.Equal("a + b", string.Concat(events.Select(happened => happened.GetProperty("content").GetString())));
        Assert.All(events.SkipLast(1), happened => Assert.False(happened.GetProperty("stop").GetBoolean()));
        Assert.Equal(("limit", true), (events[^1].GetProperty("stop_type").GetString(), events[^1].GetProperty("stop").GetBoolean()));
    }

    [Fact]
    public async Task Nothing_is_generated_where_editors_only_want_the_prompt_computed()
    {
        _api.Engine.Play(Answers.Of("x"));
        Assert.Equal(
            "", (await _api.PostAsync("/infill", """{"input_prefix":"a","input_suffix":"b","n_predict":0}""", 200)).GetProperty("content").GetString());
        Assert.Equal(1, _api.Engine.Requests[0].MaxTokens);
    }

    [Fact]
    public async Task Other_files_come_before_the_prefix()
    {
        const string body = """{"input_prefix":"p","input_suffix":"s","input_extra":[{"filename":"a.py","text":"import b"},{"text":"x = 1"}]}""";
        await _api.PostAsync("/infill", body, 200);
        var between = Ids("\n\n--- snippet ---\n\n");
        Assert.Equal(
            [.. Bos, .. between, .. Ids("import b"), .. between, .. Ids("x = 1"), Prefix, .. Ids("p"), Suffix, .. Ids("s"), Middle],
            _api.Engine.Requests[0].Prompt);

        await using var marked = await ApiHost.StartAsync(DemoModel.Served with { InfillIds = Marks with { Repository = Repository, File = Separator } });
        await marked.PostAsync("/infill", body, 200);
        Assert.Equal(
            [.. Bos, Repository, .. Ids("myproject\n"), Separator, .. Ids("a.py\n"), .. Ids("import b"), Separator, .. Ids("tmp\n"), .. Ids("x = 1"),
                Separator, .. Ids("filename\n"), Prefix, .. Ids("p"), Suffix, .. Ids("s"), Middle],
            marked.Engine.Requests[0].Prompt);
    }

    [Fact]
    public async Task What_is_too_long_is_cut_at_the_far_ends()
    {
        var (prefix, suffix) = (string.Concat(Enumerable.Range(0, 900).Select(i => $"p{i} ")), string.Concat(Enumerable.Range(0, 900).Select(i => $"s{i} ")));
        var body = JsonSerializer.Serialize(
            new { input_prefix = prefix, input_suffix = suffix, n_predict = 100, input_extra = new[] { new { text = prefix } } });
        await _api.PostAsync("/infill", body, 200);
        var prompt = _api.Engine.Requests[0].Prompt.ToList();
        Assert.Equal(DemoModel.Context - 100, prompt.Count);
        var (at, next) = (prompt.IndexOf(Prefix), prompt.IndexOf(Suffix));
        Assert.Equal(Bos.Length, at);   // nothing is left of the other file
        Assert.Equal(Ids(prefix).TakeLast(next - at - 1), prompt[(at + 1)..next]);
        Assert.Equal(Ids(suffix).Take(prompt.Count - next - 2), prompt[(next + 1)..^1]);
        Assert.InRange((prompt.Count - next - 2) / (double)prompt.Count, 0.2, 0.3);

        var refused = await _api.PostAsync("/v1/completions", JsonSerializer.Serialize(new { prompt = prefix, suffix }), 400);
        Assert.Equal("context_length_exceeded", refused.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Marks_within_a_text_are_words()
    {
        var mark = System.Text.Encoding.UTF8.GetString(Tokenizer.BytesOf(Prefix).Span);
        await _api.PostAsync("/infill", JsonSerializer.Serialize(new { input_prefix = $"{mark}{mark}", input_suffix = $"x{mark}" }), 200);
        var prompt = _api.Engine.Requests[0].Prompt;
        Assert.Equal(1, prompt.Count(id => id == Prefix));
        Assert.Equal($"{mark}{mark}", Tokenizer.DecodeText([.. prompt.Skip(Bos.Length + 1).TakeWhile(id => id != Suffix)], includeControl: true));
    }

    [Theory]
    [InlineData("/infill", """{"input_prefix":"a"}""", "'input_suffix' is required")]
    [InlineData("/infill", """{"input_suffix":"a"}""", "'input_prefix' is required")]
    [InlineData("/infill", """{"input_prefix":"a","input_suffix":"b","input_extra":[{"filename":"x"}]}""", "'input_extra[0].text' is required")]
    [InlineData("/infill", """{"input_prefix":"a","input_suffix":"b","mirostat":2}""", "'mirostat' is not supported")]
    [InlineData("/v1/completions", """{"prompt":[1,2],"suffix":"b"}""", "give the prompt as a text")]
    [InlineData("/v1/completions", """{"prompt":"a","suffix":"b","echo":true,"logprobs":1}""", "'echo' with 'logprobs'")]
    public async Task Wrong_requests_are_refused_by_name(string address, string body, string message)
        => Assert.Contains(message, (await _api.PostAsync(address, body, 400)).GetProperty("error").GetProperty("message").GetString());

    [Theory]
    [InlineData("/infill", """{"input_prefix":"a","input_suffix":"b"}""")]
    [InlineData("/v1/completions", """{"prompt":"a","suffix":"b"}""")]
    [InlineData("/api/generate", """{"model":"demo","prompt":"a","suffix":"b"}""")]
    public async Task A_model_that_cannot_fill_in_says_so(string address, string body)
    {
        await using var api = await ApiHost.StartAsync();
        Assert.Contains("was not trained for", (await api.PostAsync(address, body, 400)).GetRawText());
    }

    static int[] Bos => [.. new[] { Tokenizer.BosId }.OfType<int>()];

    static List<int> Ids(string text) => Tokenizer.Encode(text, addSpecial: false, parseSpecial: false);
}
