using System.Security.Cryptography;

namespace LlamaCluster.Sessions.Grains;

/// <summary>Ids of sessions, and the keys of their grains.</summary>
public static class SessionNames
{
    /// <summary>The longest id, in characters.</summary>
    public const int LongestId = 128;

    /// <summary>Ids that begin so were made here. Nobody else may choose one.</summary>
    public const string Prefix = "sess_";

    // Everybody is one tenant while nobody has to say who they are.
    const string Tenant = "default";

    /// <summary>An id that nobody can guess.</summary>
    public static string New() => Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

    /// <summary>Whether the id is one that <see cref="New"/> makes.</summary>
    public static bool IsOurs(string id) => id.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>1 to <see cref="LongestId"/> visible ASCII characters without a slash.</summary>
    public static bool IsValid(string id) => id.Length is > 0 and <= LongestId && id.All(letter => letter is > ' ' and <= '~' and not '/');

    internal static string KeyOf(string id) => $"{Tenant}/{id}";

    internal static string IdOf(string key) => key[(key.IndexOf('/') + 1)..];
}
