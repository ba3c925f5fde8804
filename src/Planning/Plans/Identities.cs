using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace LlamaCluster.Planning.Plans;

/// <summary>
/// Names a worker for as long as it is registered. The coordinator assigns it: 1 to 64 letters, digits and <c>- _ .</c>, so that logs,
/// metrics and file names can contain it unchanged.
/// </summary>
public readonly record struct WorkerId(string Value)
{
    public const int MaxLength = 64;

    public static bool IsValid(string? value) =>
        value is { Length: > 0 and <= MaxLength } && value.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    public override string ToString() => Value;
}

/// <summary>Names the model that the cluster serves.</summary>
/// <param name="Digest">SHA-256 of the model's config and of a sample of its weights, in lower-case hex.</param>
public sealed record ModelIdentity(string Name, string Digest)
{
    /// <summary>Changes with the model's files, so that it tells apart those that differ only where the digest does not look. "": it has no files.</summary>
    public string Files { get; init; } = "";

    public const int DigestLength = 64;

    /// <summary>Whether a text has the form of a digest. Every digest that arrives is checked, because it becomes a folder's name.</summary>
    public static bool IsDigest(string? value) => value is { Length: DigestLength } && value.All(char.IsAsciiHexDigitLower);
}

/// <summary>How sequences name an adapter to workers.</summary>
public static class AdapterIdentity
{
    /// <summary>The first 16 digits of the adapter's digest, as a number; never 0, which stands for no adapter.</summary>
    public static ulong IdOf(string digest) => Math.Max(1, ulong.Parse(digest.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
}

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

    /// <summary>The address for messages: without the closing slash.</summary>
    public static string Format(Uri address) => address.GetLeftPart(UriPartial.Authority);
}
