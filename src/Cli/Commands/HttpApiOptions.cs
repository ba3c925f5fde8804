using System.CommandLine;
using LlamaCluster.Coordinator;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Cli.Commands;

/// <summary>How strict the HTTP API is and which web pages may call it; options of `up` and `coordinator`.</summary>
sealed class HttpApiOptions
{
    const string Auto = "auto";

    /// <summary>vLLM's names where it has them.</summary>
    static readonly Dictionary<string, ToolFormat> ToolParsers = new()
    {
        ["llama3_json"] = ToolFormat.LlamaJson,
        ["pythonic"] = ToolFormat.Pythonic,
        ["function_tags"] = ToolFormat.FunctionTags,
        ["hermes"] = ToolFormat.Hermes,
    };

    static readonly Dictionary<string, ReasoningParser> ReasoningParsers = new()
    {
        [Auto] = ReasoningParser.Auto,
        ["think"] = ReasoningParser.Think,
        ["none"] = ReasoningParser.None,
    };

    readonly Option<bool> _strictFields = new("--strict-fields")
    {
        Description = "refuse request fields that have no effect, instead of naming them in the answer's X-LlamaCluster-Ignored",
    };

    readonly Option<bool> _strictMaxTokens = new("--strict-max-tokens")
    {
        Description = "refuse a max_tokens that does not fit the context, instead of lowering it (X-LlamaCluster-Adjusted)",
    };

    readonly Option<string[]> _corsOrigins = new("--cors-origins")
    {
        HelpName = "ORIGIN",
        Description = "web pages that may call the API beside those of this machine, such as https://chat.example.com; * for all. Can be given several times",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [],
    };

    readonly Option<string> _toolParser = new Option<string>("--tool-parser")
    {
        Description = "how the model writes calls of functions; auto: as its chat template's text shows",
        DefaultValueFactory = _ => Auto,
    }.AcceptOnlyFromAmong([Auto, .. ToolParsers.Keys]);

    readonly Option<string> _reasoningParser = new Option<string>("--reasoning-parser")
    {
        Description = "how reasoning is told from the rest of an answer; auto: by <think> tags if the model's chat template has them",
        DefaultValueFactory = _ => Auto,
    }.AcceptOnlyFromAmong([.. ReasoningParsers.Keys]);

    public IEnumerable<Option> All => [_strictFields, _strictMaxTokens, _corsOrigins, _toolParser, _reasoningParser];

    public ApiOptions Read(ParseResult parsed) => new()
    {
        StrictFields = parsed.GetValue(_strictFields),
        StrictMaxTokens = parsed.GetValue(_strictMaxTokens),
        CorsOrigins =
        [
            .. parsed.GetValue(_corsOrigins)!.SelectMany(origins => origins.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)),
        ],
        ToolParser = parsed.GetValue(_toolParser) is { } tools and not Auto ? ToolParsers[tools] : null,
        ReasoningParser = ReasoningParsers[parsed.GetValue(_reasoningParser)!],
    };
}
