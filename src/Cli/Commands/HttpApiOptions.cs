using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>How strict the HTTP API is and which web pages may call it; options of `up` and `coordinator`.</summary>
sealed class HttpApiOptions
{
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

    public IEnumerable<Option> All => [_strictFields, _strictMaxTokens, _corsOrigins];

    public ApiOptions Read(ParseResult parsed) => new()
    {
        StrictFields = parsed.GetValue(_strictFields),
        StrictMaxTokens = parsed.GetValue(_strictMaxTokens),
        CorsOrigins =
        [
            .. parsed.GetValue(_corsOrigins)!.SelectMany(origins => origins.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)),
        ],
    };
}
