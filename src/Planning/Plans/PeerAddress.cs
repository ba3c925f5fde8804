using System.Diagnostics.CodeAnalysis;

namespace LlamaCluster.Planning.Plans;

/// <summary>The form of the addresses by which processes of the cluster reach each other: <c>http://host:port</c> or <c>https://host:port</c>.</summary>
public static class PeerAddress
{
    public const int MaxLength = 300;

    public static bool IsValid(Uri address) =>
        address is { IsAbsoluteUri: true, Scheme: "http" or "https", Host.Length: > 0, Port: > 0, PathAndQuery: "/", UserInfo: "", Fragment: "" };

    public static bool TryParse(string? text, [NotNullWhen(true)] out Uri? address)
    {
        var valid = text is { Length: > 0 and <= MaxLength } && Uri.TryCreate(text, UriKind.Absolute, out var parsed) && IsValid(parsed);
        address = valid ? new Uri(text!) : null;
        return valid;
    }

    /// <summary>As it is written in messages: without the closing slash.</summary>
    public static string Format(Uri address) => address.GetLeftPart(UriPartial.Authority);
}
