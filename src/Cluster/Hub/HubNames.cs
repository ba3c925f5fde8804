namespace LlamaCluster.Cluster.Hub;

/// <summary>What may stand in addresses of a hub and in paths of its cache: names that lead nowhere else.</summary>
public static class HubNames
{
    public const int Sha256Characters = 64;

    /// <summary>Of a commit, and of the hash of a small file.</summary>
    public const int GitCharacters = 40;

    const int LongestFile = 400;

    public static bool IsHex(string? text, int characters) => text?.Length == characters && text.All(c => char.IsAsciiDigit(c) || c is >= 'a' and <= 'f');

    /// <summary>One part of a repository's, branch's or variant's name.</summary>
    public static bool IsPart(string part) => part.Trim('.').Length > 0 && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    /// <summary>ORG/REPO.</summary>
    public static bool IsRepository(string name) => name.Split('/') is [var organisation, var repository] && IsPart(organisation) && IsPart(repository);

    /// <summary>A file's path within a repository.</summary>
    public static bool IsFile(string name) =>
        name.Length is > 0 and <= LongestFile && !name.Contains('\\') && !name.Contains(':') && !name.Any(char.IsControl)
        && name.Split('/').All(part => part.Length > 0 && part.Trim('.').Length > 0);
}
