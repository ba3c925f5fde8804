using LlamaCluster.Cluster.Hub;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Hub;

/// <summary>Where models come from and where they are kept.</summary>
/// <param name="Endpoint">Null: none was given, and nothing can be fetched.</param>
/// <param name="Token">Null: callers are nobody.</param>
/// <param name="Cache">The folder of all models, in the form that other programs of the hub use too.</param>
sealed record HubSettings(Uri? Endpoint, string? Token, string Cache)
{
    public const string EndpointOption = "--hub";
    public const string TokenOption = "--token-file";

    /// <summary>Null: nothing can be fetched.</summary>
    public HubAccess? Access => Endpoint is null ? null : new HubAccess(Endpoint, Token);

    const string EndpointVariable = "HF_ENDPOINT";

    /// <summary>What to do where there is no endpoint.</summary>
    public const string NoEndpoint = $"give the address of a hub or of a mirror: {EndpointOption} URL, or {EndpointVariable}";

    /// <summary>
    /// Options first, then the variables that programs of the hub know: HF_ENDPOINT; HF_TOKEN, HF_TOKEN_PATH, HF_HOME/token; HF_HUB_CACHE, HF_HOME/hub,
    /// and .cache/huggingface in XDG_CACHE_HOME's or the home folder's place.
    /// </summary>
    /// <param name="variable">A variable's value; null or empty: it is not set.</param>
    /// <exception cref="InvalidOptionsException">The endpoint is no address, or there is no such file.</exception>
    public static HubSettings Read(string? endpoint, string? tokenFile, Func<string, string?> variable)
    {
        var home = Variable("HF_HOME") ?? Path.Combine(
            Variable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"), "huggingface");
        var address = endpoint is not null ? AddressOf(EndpointOption, endpoint)
            : Variable(EndpointVariable) is { } given ? AddressOf(EndpointVariable, given)
            : null;
        var cache = Variable("HF_HUB_CACHE") ?? Path.Combine(home, "hub");
        return new HubSettings(address, TokenOf(address), Path.GetFullPath(cache));

        string? TokenOf(Uri? to)
        {
            // A token that goes over a plain connection is known to everybody on the way.
            var isSafe = to is null || to.Scheme == Uri.UriSchemeHttps || to.IsLoopback;
            if (tokenFile is not null)
            {
                if (!isSafe)
                    throw new InvalidOptionsException(
                        $"{TokenOption} is given and {to} is not https: the token would be readable on the way; give an https address");
                return File.Exists(tokenFile) ? ReadToken(tokenFile) : throw new InvalidOptionsException($"{TokenOption}: {tokenFile} does not exist");
            }
            if (!isSafe) return null;
            if (Variable("HF_TOKEN") is { } token) return token.Trim();
            var path = Variable("HF_TOKEN_PATH") ?? Path.Combine(home, "token");
            return File.Exists(path) ? ReadToken(path) : null;
        }

        string? Variable(string name) => variable(name) is { Length: > 0 } value ? value : null;
    }

    static string? ReadToken(string path) => File.ReadAllText(path).Trim() is { Length: > 0 } token && token.All(c => c is > ' ' and < '\u007f')
        ? token
        : throw new InvalidOptionsException($"{path} holds no token");

    static Uri AddressOf(string from, string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && (address.Scheme == Uri.UriSchemeHttp || address.Scheme == Uri.UriSchemeHttps)
            ? new Uri(address.GetLeftPart(UriPartial.Path).TrimEnd('/') + "/")
            : throw new InvalidOptionsException($"{from} is {text}; it must be the address of a hub, such as https://hub.example.org");
}
