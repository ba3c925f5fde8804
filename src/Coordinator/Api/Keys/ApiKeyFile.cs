using System.Security.Cryptography;

namespace LlamaCluster.Coordinator.Api.Keys;

/// <summary>
/// A file with one key a line: a name, what the key is good for (inference, metrics, admin; several with commas between them), and "sha256:" with the
/// SHA-256 of the key in hex; behind that may stand <see cref="KeyLimits"/>. Empty lines and those that begin with # do not count.
/// </summary>
public sealed record ApiKeyFile(IReadOnlyList<ApiKey> Keys)
{
    public const string Option = "--api-keys-file";

    /// <summary>Each request is compared with every key.</summary>
    public const int MostKeys = 1000;

    const int LongestName = 64;
    const int MostBytes = 1 << 20;
    const string HashPrefix = "sha256:";

    static readonly (string Word, ApiScopes Scope)[] Scopes =
        [("inference", ApiScopes.Inference), ("metrics", ApiScopes.Metrics), ("admin", ApiScopes.Admin)];

    /// <summary>For people.</summary>
    public static string ScopeWords => string.Join(", ", Scopes.Select(scope => scope.Word));

    /// <exception cref="IOException">It cannot be used; the message is one line that names file and line.</exception>
    public static ApiKeyFile Read(string path)
    {
        try
        {
            if (new FileInfo(path) is { Exists: true, Length: > MostBytes }) throw new IOException($"has more than {MostBytes} bytes");
            ApiKey[] keys =
            [
                .. File.ReadAllLines(path).Index().Select(line => (line.Index, Text: line.Item.Trim())).Where(line => line.Text is not ("" or ['#', ..]))
                    .Select(line => ReadLine(line.Text) is var (key, problem) && key is not null
                        ? key
                        : throw new IOException($"line {line.Index + 1} {problem}")),
            ];
            if (keys.Length == 0) throw new IOException("there is no key in it; make one with `llamacluster keys add`");
            return keys.Length <= MostKeys ? new(keys) : throw new IOException($"it has {keys.Length} keys; {MostKeys} are the most");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{Option}: cannot use {path}: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    /// <summary>The line of a new key.</summary>
    /// <param name="scopes">Words.</param>
    /// <param name="limits">Null: none.</param>
    public static string LineOf(string name, string scopes, string key, KeyLimits? limits = null)
        => $"{name} {scopes} {HashPrefix}{Convert.ToHexStringLower(ApiKey.HashOf(key))} {limits}".TrimEnd();

    /// <summary>Why a name is none, as the second half of a sentence; null if it is one.</summary>
    public static string? NameProblem(string name) =>
        name.Length is > 0 and <= LongestName && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.' or '@')
        ? null
        : $"must have 1 to {LongestName} letters, digits or . _ - @";

    /// <returns>Null if a word is no scope.</returns>
    public static ApiScopes? ScopesOf(string words)
    {
        var all = ApiScopes.None;
        foreach (var word in words.Split(','))
        {
            if (Array.Find(Scopes, scope => scope.Word == word) is not { Word: not null } known) return null;
            all |= known.Scope;
        }
        return all;
    }

    static (ApiKey? Key, string Problem) ReadLine(string line)
    {
        if (line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is not [var name, var words, var written, .. var rest])
            return (null, $"is not of the form NAME SCOPES {HashPrefix}HASH");
        if (NameProblem(name) is { } problem) return (null, $"has the name '{name}'; it {problem}");
        if (ScopesOf(words) is not { } scopes) return (null, $"has the scopes '{words}'; there are {ScopeWords}");
        var hash = new byte[SHA256.HashSizeInBytes];
        // The word itself is not repeated: it may be a key that somebody put here by mistake.
        if (!written.StartsWith(HashPrefix, StringComparison.Ordinal) || written.Length != HashPrefix.Length + 2 * hash.Length
            || Convert.FromHexString(written.AsSpan(HashPrefix.Length), hash, out _, out _) != System.Buffers.OperationStatus.Done)
            return (null, $"of {name} must end with {HashPrefix} and the SHA-256 of the key in hex; `llamacluster keys add` writes such lines");
        return KeyLimits.Read(rest, out var wrong) is { } limits
            ? (new ApiKey(new ApiCaller(name, scopes) { Limits = limits }, hash), "")
            : (null, $"of {name} {wrong}");
    }

    /// <summary>For people.</summary>
    public override string ToString() => $"{Keys.Count} {(Keys.Count == 1 ? "key" : "keys")}";
}
