namespace LlamaCluster.Cluster.Plans;

/// <summary>The form of a model's content digest: SHA-256 in lower-case hex. Checked wherever one arrives, since it becomes a folder's name.</summary>
public static class ModelDigest
{
    public const int Length = 64;

    public static bool IsValid(string? value) => value is { Length: Length } && value.All(char.IsAsciiHexDigitLower);
}
