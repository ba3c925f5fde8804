using System.Net;
using System.Text;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Api;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Text.Answers;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>Bodies of requests to every address of the API that takes one, over HTTP. The first byte of an input says which address.</summary>
sealed class ApiTarget : ITarget
{
    static readonly (string Path, string Body)[] Right =
    [
        ("/v1/chat/completions",
            """{"model":"demo","messages":[{"role":"system","content":"x","name":"n"},{"role":"user","content":[{"type":"text","text":"a"}]}]"""
            + ""","stream":true,"stream_options":{"include_usage":true},"n":2,"seed":1}"""),
        ("/v1/chat/completions",
            """{"messages":[{"role":"user","content":"Hi"}],"logprobs":true,"top_logprobs":2,"logit_bias":{"5":1},"stop":["a","b"]"""
            + ""","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto"}"""),
        ("/v1/chat/completions",
            """{"messages":[{"role":"user","content":"Hi"}]"""
            + ""","response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","properties":{"a":{"type":"integer"}}}}}}"""),
        ("/v1/completions",
            """{"prompt":["a",[1,2]],"echo":true,"logprobs":1,"max_tokens":0,"temperature":0.5"""
            + ""","top_p":0.5,"top_k":3,"min_p":0.1,"repetition_penalty":1.1,"stop_token_ids":[1],"guided_regex":"a+"}"""),
        ("/v1/responses",
            """{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]},"""
            + """{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},"""
            + """{"type":"function_call_output","call_id":"c","output":"1"}],"store":false}"""),
        ("/v1/messages",
            """{"max_tokens":5,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},"""
            + """{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},"""
            + """{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"1"}]}]"""
            + ""","tools":[{"name":"f","input_schema":{"type":"object"}}]}"""),
        ("/v1/messages/count_tokens", """{"messages":[{"role":"user","content":"a"}]}"""),
        ("/v1/embeddings", """{"input":["a","b"],"encoding_format":"base64","dimensions":4}"""),
        ("/api/chat",
            """{"model":"demo","messages":[{"role":"user","content":"a","images":[]}]"""
            + ""","options":{"num_predict":3,"temperature":0.1},"format":{"type":"object"},"stream":false,"keep_alive":"5m"}"""),
        ("/api/generate", """{"model":"demo","prompt":"a","suffix":"","system":"s","template":"","raw":true,"options":{"stop":["x"]}}"""),
        ("/api/embed", """{"model":"demo","input":["a"],"truncate":true}"""),
        ("/generate",
            """{"inputs":"a","parameters":{"max_new_tokens":3,"do_sample":true,"stop":["x"],"details":true"""
            + ""","grammar":{"type":"json","value":{"type":"object"}}}}"""),
        ("/tokenize", """{"messages":[{"role":"user","content":"a"}],"add_generation_prompt":true}"""),
        ("/detokenize", """{"tokens":[1,2,3]}"""),
        ("/v1/sessions/import", """{"version":1,"id":"s","messages":[{"role":"user","content":"a"}]}"""),
    ];

    readonly LogLines _log = new(LogLevel.Warning);
    readonly ApiHost _api;

    public ApiTarget()
    {
        _api = ApiHost.StartAsync(options: new ApiOptions { ToolParser = ToolFormat.Hermes }, log: _log).GetAwaiter().GetResult();
        _api.Engine.Script = request => (request.Sampling.PromptLogprobs
            ? Answers.Of("ok").Prepend(new SequenceEvent.Prompt([.. request.Prompt.Skip(1).Select(id => new SampledToken(id, -1, []))]))
            : request.MaxTokens == 0 ? [new SequenceEvent.Embedded([1, 2, 3, 4]), new SequenceEvent.Finished(FinishReason.Length)]
            : Answers.Of("ok <tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>")).ToAsyncEnumerable();
    }

    public IReadOnlyList<byte[]> Seeds { get; } = [.. Right.Select((right, index) => (byte[])[(byte)index, .. Encoding.UTF8.GetBytes(right.Body)])];

    public IReadOnlyList<string> Words { get; } =
    [
        .. Right.SelectMany(right => right.Body.Split(['{', '}', '[', ']', ','], StringSplitOptions.RemoveEmptyEntries))
            .Where(word => word.Contains(':')).Distinct(),
        "{", "}", "[", "]", ",", ":", "null", "true", "false", "\"\"", "\"\\ud800\"", "\"\\u0000\"", "{\"type\":\"x\"}", "\"stream\":true",
        "\"session_id\":\"s\"", "\"priority\":-1", "\"suffix\":\"a\"", "\"best_of\":2", "\"reasoning_effort\":\"low\"", "\"tool_choice\":\"required\"",
        "\"image_url\"", "\"previous_response_id\":\"r\"", "\"logit_bias\":{\"1\":-100}",
    ];

    public void Run(byte[] input)
    {
        if (input.Length == 0) return;
        using var content = new ByteArrayContent(input, 1, input.Length - 1) { Headers = { ContentType = new("application/json") } };
        var path = Right[input[0] % Right.Length].Path;
        using var answer = _api.Http.PostAsync(path, content).GetAwaiter().GetResult();
        var body = answer.Content.ReadAsStringAsync().GetAwaiter().GetResult();
        if (answer.StatusCode == HttpStatusCode.InternalServerError || body.Contains("internal_error"))
            throw new InvalidOperationException($"{path} answered {(int)answer.StatusCode}: {body}; the log's last line: {_log.Lines.LastOrDefault()}");
    }

    public void Dispose() => _api.DisposeAsync().AsTask().GetAwaiter().GetResult();
}
