namespace LlamaCluster.Planning.Plans;

/// <summary>Which model the cluster serves.</summary>
/// <param name="Digest">Of its content: SHA-256 in lower-case hex.</param>
public sealed record ModelIdentity(string Name, string Digest)
{
    public const int DigestLength = 64;

    /// <summary>Whether this has the form of a digest. Checked wherever one arrives, since it becomes a folder's name.</summary>
    public static bool IsDigest(string? value) => value is { Length: DigestLength } && value.All(char.IsAsciiHexDigitLower);
}
