using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using StackExchange.Redis;

namespace LlamaCluster.Sessions.Storage;

/// <summary>Where sessions are stored.</summary>
public abstract record StatePlace
{
    const string Plain = "redis";
    const string Tls = "rediss";

    StatePlace() { }

    /// <summary>One SQLite file, used by one coordinator at a time.</summary>
    /// <param name="Path">Made when it is first needed.</param>
    public sealed record File(string Path) : StatePlace
    {
        public override string ToString() => Path;
    }

    /// <summary>A Redis server, which several coordinators can use together.</summary>
    public sealed record Redis : StatePlace
    {
        readonly ConfigurationOptions _options;

        internal Redis(ConfigurationOptions options) => _options = options;

        /// <summary>For a connection of its own.</summary>
        internal ConfigurationOptions Options => _options.Clone();

        /// <summary>Where the server is, without user and password.</summary>
        public Uri Server => new($"{Plain}://{Show(_options.EndPoints[0])}");

        /// <summary>Without user and password.</summary>
        public override string ToString() => $"Redis at {string.Join(", ", _options.EndPoints.Select(Show))}";

        static string Show(EndPoint end) => end is DnsEndPoint { Host: var host, Port: var port } ? $"{host}:{port}" : $"{end}";
    }

    /// <summary>Reads redis://[user:password@]host[:port][/database]; rediss:// is TLS.</summary>
    /// <param name="problem">What it must be like, if it is something else.</param>
    public static bool TryParse(string url, [NotNullWhen(true)] out Redis? place, [NotNullWhen(false)] out string? problem)
    {
        (place, problem) = (null, "it must be like redis://host:6379, redis://user:password@host:6379/0 or rediss://host:6380 for TLS");
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not (Plain or Tls) || uri.Host.Length == 0) return false;
        if (uri.Query.Length > 0 || uri.Fragment.Length > 0) return false;
        var database = 0;
        var path = uri.AbsolutePath.Trim('/');
        if (path.Length > 0 && !int.TryParse(path, NumberStyles.None, CultureInfo.InvariantCulture, out database)) return false;
        var options = new ConfigurationOptions
        {
            EndPoints = { { uri.DnsSafeHost, uri.Port > 0 ? uri.Port : 6379 } },
            Ssl = uri.Scheme == Tls,
            DefaultDatabase = database,
            AbortOnConnectFail = true,
            ConnectTimeout = 10_000,   // both sides may be on machines that are busy starting
            AsyncTimeout = 3000,
            SyncTimeout = 3000,
            ClientName = "llamacluster",
        };
        var parts = uri.UserInfo.Split(':', 2);
        if (uri.UserInfo.Length > 0) options.Password = Uri.UnescapeDataString(parts[^1]);
        if (parts is [{ Length: > 0 } user, _]) options.User = Uri.UnescapeDataString(user);
        (place, problem) = (new Redis(options), null);
        return true;
    }
}

/// <summary>The place of sessions cannot be used now. The message is one line: what, where and what to do.</summary>
public sealed class StateStoreException(string message, Exception? inner = null) : Exception(message, inner);
