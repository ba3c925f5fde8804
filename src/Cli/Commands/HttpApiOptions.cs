using System.CommandLine;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Answers;

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

    readonly Option<string?> _keysFile = new(ApiKeyFile.Option)
    {
        HelpName = "FILE",
        Description = "callers must show a key of this file, which has their hashes (`llamacluster keys add`); it is read again when it changes",
    };

    readonly Option<string?> _auditLog = new("--audit-log")
    {
        HelpName = "FILE",
        Description = "each request adds a JSON line to it: who, what, when, status, tokens, and nothing of what was said; it may be moved away at any time",
    };

    /// <summary>vLLM's names where it has them.</summary>
    readonly WordOption<ToolParser> _toolParser = new(
        "--tool-parser", "how the model writes calls of functions; auto: as its chat template's text shows",
        ("auto", default), ("llama3_json", new(ToolFormat.LlamaJson)), ("pythonic", new(ToolFormat.Pythonic)), ("function_tags", new(ToolFormat.FunctionTags)),
        ("hermes", new(ToolFormat.Hermes)));

    readonly WordOption<ReasoningParser> _reasoningParser = new(
        "--reasoning-parser", "how reasoning is told from the rest of an answer; auto: by <think> tags if the model's chat template has them",
        ("auto", ReasoningParser.Auto), ("think", ReasoningParser.Think), ("none", ReasoningParser.None));

    readonly WordOption<(bool IsChosen, Pooling Pooling)> _pooling = new(
        "--pooling", "how /v1/embeddings makes one vector of a text's tokens; auto: as the model's files say, else by the last; none: there are no embeddings",
        ("auto", (false, Pooling.None)), ("mean", (true, Pooling.Mean)),
        ("first", (true, Pooling.First)), ("last", (true, Pooling.Last)), ("none", (true, Pooling.None)));

    readonly Option<bool> _parseSpecial = new("--parse-special-in-content")
    {
        Description = "read special tokens that are written in a message's content as such; without it they are words like others",
    };

    readonly Option<bool> _docs = new("--api-docs")
    {
        Description = "serve a page at /docs that shows the API and tries it out; it loads nothing from elsewhere, and needs no key to be looked at",
    };

    public IEnumerable<Option> All =>
        [_strictFields, _strictMaxTokens, _corsOrigins, _keysFile, _auditLog, _toolParser, _reasoningParser, _pooling, _parseSpecial, _docs];

    public ApiOptions Read(ParseResult parsed) => new()
    {
        StrictFields = parsed.GetValue(_strictFields),
        StrictMaxTokens = parsed.GetValue(_strictMaxTokens),
        CorsOrigins =
        [
            .. parsed.GetValue(_corsOrigins)!.SelectMany(origins => origins.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)),
        ],
        KeysFile = parsed.GetValue(_keysFile),
        AuditLog = parsed.GetValue(_auditLog),
        ReferencePage = parsed.GetValue(_docs),
        ToolParser = _toolParser.In(parsed).Format,
        Pooling = _pooling.In(parsed) is (true, var pooling) ? pooling : null,
        ReasoningParser = _reasoningParser.In(parsed),
        ParseSpecialInContent = parsed.GetValue(_parseSpecial),
    };

    /// <param name="Format">Null: the template's.</param>
    readonly record struct ToolParser(ToolFormat? Format);
}

/// <summary>The certificate of the API: two options that go together.</summary>
sealed class ApiCertificateOptions
{
    readonly Option<string?> _certificate = new(ApiCertificateFiles.CertificateOption)
    {
        HelpName = "FILE",
        Description = "the API's certificate (PEM): clients come by https then; it is read again when it changes",
    };

    readonly Option<string?> _key = new(ApiCertificateFiles.KeyOption) { HelpName = "FILE", Description = "its private key (PEM)" };

    public IEnumerable<Option> All => [_certificate, _key];

    /// <returns>Null if none are given.</returns>
    /// <exception cref="InvalidOptionsException">One is given without the other.</exception>
    public ApiCertificateFiles? Read(ParseResult parsed) => (parsed.GetValue(_certificate), parsed.GetValue(_key)) switch
    {
        (null, null) => null,
        ({ } certificate, { } key) => new(certificate, key),
        _ => throw new InvalidOptionsException($"{ApiCertificateFiles.CertificateOption} and {ApiCertificateFiles.KeyOption} go together: give both"),
    };
}
