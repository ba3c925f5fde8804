using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Cluster.Rpc;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Api.Keys;

/// <summary>What a key is good for.</summary>
[Flags]
public enum ApiScopes
{
    None = 0,

    /// <summary>Answers, tokens, and the caller's own sessions.</summary>
    Inference = 1,

    /// <summary>The metrics, and the cluster's state.</summary>
    Metrics = 2,

    /// <summary>Everything: what the others are for, sessions of all callers, and whatever else takes an administrator.</summary>
    Admin = 4 | Inference | Metrics,
}

/// <summary>Who calls the API, where it asks for keys.</summary>
/// <param name="Name">As the key's line in the file says; several keys may have one name.</param>
public sealed record ApiCaller(string Name, ApiScopes Scopes)
{
    /// <summary>Shows no key.</summary>
    public static ApiCaller Stranger { get; } = new("", ApiScopes.None);

    public KeyLimits Limits { get; init; } = KeyLimits.None;

    public bool Has(ApiScopes scope) => (Scopes & scope) == scope;
}

/// <summary>
/// The keys of the API, and <see cref="ApiKeyFile"/> that they are in. Without a file nobody is asked for one. The file is read again when it changes.
/// </summary>
public sealed class ApiKeys
{
    /// <summary>Characters of a key that a request shows.</summary>
    const int Longest = 512;

    readonly WatchedFiles<ApiKeyFile>? _file;
    readonly TimeProvider _time;
    readonly ConcurrentDictionary<string, KeyUsage> _usages = new(StringComparer.Ordinal);
    readonly ApiKey? _own;

    /// <param name="path">Null: nobody is asked for a key.</param>
    /// <exception cref="IOException">The file cannot be used; the message is one line that says why.</exception>
    public ApiKeys(string? path, TimeProvider time, ILogger<ApiKeys> logger)
    {
        _time = time;
        if (path is null) return;
        _file = new([new(ApiKeyFile.Option, path)], () => ApiKeyFile.Read(path), time);
        _file.LogTo(logger);
        Own = ApiKey.NewText();
        _own = new ApiKey(new ApiCaller("llamacluster", ApiScopes.Inference), ApiKey.HashOf(Own));
    }

    /// <summary>Whether callers are asked for keys.</summary>
    public bool AreOn => _file is not null;

    /// <summary>A key that this process may use of itself; it is new with each start, and in no file.</summary>
    public string? Own { get; }

    /// <summary>Who shows this key; null: nobody that is known. It takes the same time whatever is right about it.</summary>
    public ApiCaller? Find(string? shown)
    {
        if (_file is null || shown is null or { Length: 0 or > Longest }) return null;
        var hash = ApiKey.HashOf(shown);
        var found = _own!.Is(hash) ? _own.Caller : null;
        foreach (var key in _file.Current().Keys)
            if (key.Is(hash)) found = key.Caller;
        return found;
    }

    /// <summary>What callers of this name use of their limits.</summary>
    internal KeyUsage UsageOf(ApiCaller caller)
    {
        // Names that are no longer in the file are forgotten, so that a file that changes often does not fill the memory.
        if (_usages.Count > 2 * ApiKeyFile.MostKeys)
        {
            var known = _file!.Current().Keys.Select(key => key.Caller.Name).ToHashSet(StringComparer.Ordinal);
            foreach (var name in _usages.Keys.Where(name => !known.Contains(name))) _usages.TryRemove(name, out _);
        }
        return _usages.GetOrAdd(caller.Name, static (_, time) => new KeyUsage(time), _time);
    }
}

/// <summary>One key, of which only the hash is known: it cannot be read out of memory or a file.</summary>
public sealed class ApiKey(ApiCaller caller, byte[] hash)
{
    const string Prefix = "llc-";
    const int RandomBytes = 32;

    public ApiCaller Caller => caller;

    public bool Is(byte[] other) => CryptographicOperations.FixedTimeEquals(hash, other);

    /// <summary>A new key. It has so much chance in it that a plain hash is enough to keep.</summary>
    public static string NewText() => Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(RandomBytes));

    /// <summary>SHA-256 of a key's UTF-8.</summary>
    public static byte[] HashOf(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
