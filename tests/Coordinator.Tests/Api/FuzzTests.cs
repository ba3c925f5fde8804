using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Bodies that are almost right: whatever they are, the answer is one of a few statuses.</summary>
public sealed class FuzzTests : IAsyncLifetime
{
    const int Rounds = 1500;

    static readonly string[] Seeds =
    [
        """{"model":"demo","messages":[{"role":"user","content":"Hi"},"""
            + """{"role":"assistant","content":[{"type":"text","text":"a"}]}],"stream":true,"stream_options":{"include_usage":true}}""",
        """{"messages":[{"role":"system","content":"x","name":"n"},{"role":"user","content":"Hi"}],"logprobs":true,"top_logprobs":2,"logit_bias":"""
            + """{"5":1},"stop":["a","b"],"seed":1,"n":2}""",
        """{"prompt":["a",[1,2]],"echo":true,"logprobs":1,"max_tokens":0,"temperature":"""
            + """0.5,"top_p":0.5,"top_k":3,"min_p":0.1,"repetition_penalty":1.1,"stop_token_ids":[1]}""",
        """{"prompt":"abc","best_of":1,"suffix":"","user":"u","response_format":"""
            + """{"type":"text"},"ignore_eos":true,"presence_penalty":1,"frequency_penalty":1}""",
        """{"messages":[{"role":"user","content":"Hi","id":"1"}],"min_tokens":2,"repeat_penalty":1.1,"tools":[],"tool_choice":"none"}""",
        """{"messages":[{"role":"user","content":"Hi"}],"chat_template_kwargs":{"a":[1,{"b":2}]},"service_tier":"x","store":true}""",
        """{"prompt":"abc","stream":true,"stream_options":{"continuous_usage_stats":true},"max_completion_tokens":-1,"max_tokens":32000,"other":{}}""",
    ];

    static readonly string[] Values =
    [
        "null", "true", "false", "0", "-1", "1e400", "-0.0", "99999999999999999999", "1.5",
        "\"\"", "\"\\ud800\"", "\"\\u0000\"", "\"text\"",
        "[]", "{}", "[[]]", "[null]", "[1,\"a\"]", "{\"type\":\"x\"}",
    ];

    static readonly string[] Paths = ["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"];

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task No_body_makes_the_server_fail(int seed)
    {
        _api.Engine.Script = request => (request.Sampling.PromptLogprobs
            ? Answers.Of("ok").Prepend(new SequenceEvent.Prompt([.. request.Prompt.Skip(1).Select(id => new SampledToken(id, -1, []))]))
            : Answers.Of("ok")).ToAsyncEnumerable();
        var random = new Random(seed);
        for (var round = 0; round < Rounds; round++)
        {
            var body = random.Next(2) == 0 ? MutateBytes(random) : MutateTree(random);
            var path = Paths[random.Next(Paths.Length)];
            using var content = new ByteArrayContent(body) { Headers = { ContentType = new("application/json") } };
            using var response = await _api.Http.PostAsync(path, content);
            Assert.True(
                (int)response.StatusCode is 200 or 400 or 404 or 413,
                $"seed {seed}, round {round}: {path} answered {(int)response.StatusCode} to {Encoding.UTF8.GetString(body)}");
        }
    }

    static byte[] MutateBytes(Random random)
    {
        var bytes = Encoding.UTF8.GetBytes(Seeds[random.Next(Seeds.Length)]).ToList();
        for (var change = random.Next(1, 4); change > 0; change--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(4))
            {
                case 0: bytes[at] = (byte)random.Next(256); break;
                case 1: bytes.RemoveAt(at); break;
                case 2: bytes.Insert(at, (byte)"\"{}[],:\\0-e"[random.Next(11)]); break;
                default: bytes.RemoveRange(at, Math.Min(bytes.Count - at, random.Next(1, 20))); break;
            }
            if (bytes.Count == 0) break;
        }
        return [.. bytes];
    }

    /// <summary>Puts some value where another one was, anywhere in the tree.</summary>
    static byte[] MutateTree(Random random)
    {
        var text = Seeds[random.Next(Seeds.Length)];
        var places = JsonNode.Parse(text)!.AsObject().Select(field => field.Value).ToList();
        for (var index = 0; index < places.Count; index++)
            places.AddRange(places[index] switch { JsonObject fields => fields.Select(field => field.Value), JsonArray list => list, _ => [] });
        var place = places[random.Next(places.Count)]!;
        var value = Values[random.Next(Values.Length)];
        // Values that JsonNode would not write (1e400, half a pair) go in as text.
        const string mark = "\"replace-me\"";
        var root = place.Root;
        place.ReplaceWith("replace-me");
        return Encoding.UTF8.GetBytes(root.ToJsonString().Replace(mark, value));
    }
}
