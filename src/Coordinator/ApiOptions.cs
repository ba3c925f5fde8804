using LlamaCluster.Primitives;
using LlamaCluster.Text.Answers;
using Microsoft.Extensions.Options;

namespace LlamaCluster.Coordinator;

/// <summary>How strict the HTTP API is, and which web pages may call it.</summary>
public sealed record ApiOptions
{
    /// <summary>The entry of <see cref="CorsOrigins"/> that stands for all.</summary>
    public const string AnyOrigin = "*";

    /// <summary>Whether a field that has no effect is refused instead of reported. Default false.</summary>
    public bool StrictFields { get; init; }

    /// <summary>Whether an answer length that the context has no room for is refused instead of lowered. Default false.</summary>
    public bool StrictMaxTokens { get; init; }

    /// <summary>How the model writes calls of functions. Default null: as its chat template's text shows.</summary>
    public ToolFormat? ToolParser { get; init; }

    /// <summary>Whether reasoning is told from the rest of an answer. Default: where the chat template's text has &lt;think&gt;.</summary>
    public ReasoningParser ReasoningParser { get; init; }

    /// <summary>
    /// How embeddings are pooled; <see cref="Pooling.None"/>: there are none. Null, the default: as the model's files say, else by the last token.
    /// </summary>
    public Pooling? Pooling { get; init; }

    /// <summary>A file with the keys that callers must show; see <see cref="Api.Keys.ApiKeyFile"/>. Null, the default: nobody is asked for one.</summary>
    public string? KeysFile { get; init; }

    /// <summary>A file that each request of the API adds a line to, when it has ended. Null, the default: none.</summary>
    public string? AuditLog { get; init; }

    /// <summary>Whether there is a page that shows the API. Default false.</summary>
    public bool ReferencePage { get; init; }

    /// <summary>Null, the default: the API is plain HTTP.</summary>
    public ApiCertificateFiles? Certificate { get; init; }

    /// <summary>
    /// Origins whose pages may call the API beside those of this machine, such as https://chat.example.com, or "*" for all. Their hosts are
    /// also names by which the API may be called where it listens on this machine only. Default: none.
    /// </summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>What looks at prompts and answers. Default: nothing.</summary>
    public FilterOptions Filters { get; init; } = new();

    /// <summary>Whether special tokens written in a message's content are read as such. Default false: they are words like others.</summary>
    public bool ParseSpecialInContent { get; init; }
}

/// <summary>What the API shows to its clients, as PEM. Both files are read again when they change.</summary>
/// <param name="Certificate">And those between it and the authority, if there are any.</param>
/// <param name="Key">The certificate's private key.</param>
public sealed record ApiCertificateFiles(string Certificate, string Key)
{
    public const string CertificateOption = "--api-cert";
    public const string KeyOption = "--api-cert-key";
}

/// <summary>What finds the reasoning in answers.</summary>
public enum ReasoningParser
{
    /// <summary>As the model's chat template shows.</summary>
    Auto,

    /// <summary>Nothing: reasoning is part of the answer's text.</summary>
    None,

    /// <summary>It is between &lt;think&gt; and &lt;/think&gt;.</summary>
    Think,
}

/// <summary>The values of <see cref="ApiOptions"/>; names the first wrong one.</summary>
public sealed class ApiOptionsValidator : IValidateOptions<ApiOptions>
{
    public ValidateOptionsResult Validate(string? name, ApiOptions options)
        => options.CorsOrigins.FirstOrDefault(origin => !IsOrigin(origin)) is { } wrong
            ? ValidateOptionsResult.Fail(
                $"--cors-origins has '{wrong}'; an origin is like https://chat.example.com, or {ApiOptions.AnyOrigin} for all")
            : options.Filters.FirstProblem() is { } problem ? ValidateOptionsResult.Fail(problem) : ValidateOptionsResult.Success;

    static bool IsOrigin(string origin) => origin == ApiOptions.AnyOrigin
        || (Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri is { PathAndQuery: "/" or "", UserInfo: "", Fragment: "", Host.Length: > 0 });
}
