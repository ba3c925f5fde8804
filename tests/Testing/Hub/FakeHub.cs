using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Testing.Hub;

/// <summary>
/// A hub as programs of the hub meet it: a list of files with their hashes, small files at its own address, large ones by a redirect to another, which
/// gives parts of them. What goes wrong there can be asked for.
/// </summary>
public sealed class FakeHub : IAsyncDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    readonly WebApplication _hub;
    readonly WebApplication _storage;
    readonly ConcurrentDictionary<string, byte[]> _files = new(StringComparer.Ordinal);
    readonly ConcurrentQueue<HubRead> _reads = [];
    readonly Pace _pace = new();
    int _refusals;

    FakeHub(WebApplication hub, WebApplication storage) => (_hub, _storage) = (hub, storage);

    public string Url => _hub.Urls.Single();

    /// <summary>Files that are sent from the other address, which is told of no token.</summary>
    public Func<string, bool> IsLarge { get; set; } = name =>
        name.EndsWith(".gguf", StringComparison.Ordinal) || name.EndsWith(".safetensors", StringComparison.Ordinal);

    /// <summary>The token that callers must show; null: none.</summary>
    public string? Token { get; set; }

    public bool IsGated { get; set; }

    /// <summary>How many answers are 429 before others are given.</summary>
    public int Refusals { get; set; }

    public string RetryAfter { get; set; } = "7";

    /// <summary>Bytes a second of all content together; null: as fast as it goes.</summary>
    public long? Rate { get; set; }

    /// <summary>Bytes after which the next answers with content end their connection.</summary>
    public ConcurrentQueue<int> Cuts { get; } = [];

    public bool KnowsParts { get; set; } = true;

    /// <summary>What is sent in place of a file's content.</summary>
    public Func<byte[], byte[]> Change { get; set; } = content => content;

    /// <summary>The list of files in place of the true one.</summary>
    public Func<JsonObject, string> List { get; set; } = list => list.ToJsonString();

    /// <summary>Content that was asked for.</summary>
    public IReadOnlyList<HubRead> Reads => [.. _reads];

    /// <summary>Whether the address of the hub itself was ever shown a token.</summary>
    public bool WasShownAToken { get; private set; }

    /// <summary>Whether the other address was ever shown a token.</summary>
    public bool TokenLeaked { get; private set; }

    public static async Task<FakeHub> StartAsync(params (string Name, byte[] Content)[] files)
    {
        var (hub, storage) = (Build(), Build());
        var fake = new FakeHub(hub, storage);
        foreach (var (name, content) in files) fake._files[name] = content;
        hub.MapGet("/api/models/org/model/revision/{revision}", fake.ListAsync);
        hub.MapGet("/org/model/resolve/{commit}/{**name}", fake.ResolveAsync);
        hub.MapFallback(http => RefuseAsync(http, 404, "RepoNotFound"));
        storage.MapGet("/content/{**name}", (HttpContext http, string name) =>
        {
            fake.TokenLeaked |= http.Request.Headers.Authorization.Count > 0;
            return fake.SendAsync(http, name);
        });
        await hub.StartAsync();
        await storage.StartAsync();
        return fake;
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        await _storage.DisposeAsync();
    }

    static WebApplication Build()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        return builder.Build();
    }

    async Task ListAsync(HttpContext http, string revision)
    {
        if (await RefusesAsync(http)) return;
        if (revision != "main")
        {
            await RefuseAsync(http, 404, "RevisionNotFound");
            return;
        }
        var siblings = _files.Select(file => (JsonNode)(IsLarge(file.Key)
            ? new JsonObject
            {
                ["rfilename"] = file.Key,
                ["lfs"] = new JsonObject { ["sha256"] = Convert.ToHexStringLower(SHA256.HashData(file.Value)), ["size"] = file.Value.Length },
            }
            : new JsonObject { ["rfilename"] = file.Key, ["size"] = file.Value.Length, ["blobId"] = GitId(file.Value) }));
        await http.Response.WriteAsync(List(new JsonObject { ["sha"] = Commit, ["siblings"] = new JsonArray([.. siblings]) }));
    }

    async Task ResolveAsync(HttpContext http, string commit, string name)
    {
        if (await RefusesAsync(http)) return;
        if (IsGated) await RefuseAsync(http, 403, "GatedRepo");
        else if (commit != Commit || !_files.ContainsKey(name)) await RefuseAsync(http, 404, "EntryNotFound");
        else if (IsLarge(name)) http.Response.Redirect($"{_storage.Urls.Single()}/content/{name}");
        else await SendAsync(http, name);
    }

    async Task<bool> RefusesAsync(HttpContext http)
    {
        if (Interlocked.Increment(ref _refusals) <= Refusals)
        {
            http.Response.Headers.RetryAfter = RetryAfter;
            await RefuseAsync(http, 429, "");
            return true;
        }
        WasShownAToken |= http.Request.Headers.Authorization.Count > 0;
        if (Token is null || http.Request.Headers.Authorization == $"Bearer {Token}") return false;
        await RefuseAsync(http, 401, "RepoNotFound");
        return true;
    }

    static Task RefuseAsync(HttpContext http, int status, string code)
    {
        http.Response.StatusCode = status;
        http.Response.Headers["X-Error-Code"] = code;
        return http.Response.WriteAsync("{\"error\":\"refused\"}");
    }

    async Task SendAsync(HttpContext http, string name)
    {
        var content = Change(_files[name]);
        var range = KnowsParts ? http.Request.GetTypedHeaders().Range?.Ranges.Single() : null;
        var (from, end) = (range?.From ?? 0, Math.Min(content.Length, (range?.To ?? content.Length - 1) + 1));
        var read = new HubRead(name, from, Math.Max(0, end - from));
        _reads.Enqueue(read);
        if (from >= content.Length && from > 0)
        {
            http.Response.StatusCode = 416;
            return;
        }
        if (range is not null)
        {
            http.Response.StatusCode = 206;
            http.Response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {from}-{end - 1}/{content.Length}");
        }
        http.Response.ContentLength = read.Count;
        // What was written before a cut arrives; then the connection ends, since more was promised.
        var sent = Cuts.TryDequeue(out var cut) ? Math.Min(cut, read.Count) : read.Count;
        await WriteAsync(http, content.AsMemory((int)from, (int)sent));
    }

    async Task WriteAsync(HttpContext http, ReadOnlyMemory<byte> content)
    {
        const int chunk = 256 << 10;
        for (; !content.IsEmpty; content = content[Math.Min(chunk, content.Length)..])
        {
            var next = content[..Math.Min(chunk, content.Length)];
            if (Rate is { } rate) await _pace.WaitAsync(TimeSpan.FromSeconds((double)next.Length / rate));
            await http.Response.Body.WriteAsync(next, http.RequestAborted);
        }
    }

    static string GitId(byte[] content) =>
        Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));
}

/// <summary>Content of a file that was asked for.</summary>
/// <param name="From">The first byte.</param>
public sealed record HubRead(string File, long From, long Count)
{
    public long End => From + Count;
}

/// <summary>A link that one thing after the other passes. A sender that was slow for a moment catches up.</summary>
sealed class Pace
{
    /// <summary>As long as the buffers before the link last.</summary>
    static readonly TimeSpan Slack = TimeSpan.FromMilliseconds(100);

    readonly SemaphoreSlim _turn = new(1);
    readonly Stopwatch _clock = Stopwatch.StartNew();
    TimeSpan _free;

    /// <param name="time">As long as the link is taken.</param>
    public async Task WaitAsync(TimeSpan time)
    {
        await _turn.WaitAsync();
        try
        {
            var now = _clock.Elapsed;
            _free = (_free > now - Slack ? _free : now - Slack) + time;
            if (_free - now < TimeSpan.FromMilliseconds(2)) return;
            using var timer = new PeriodicTimer(_free - now);
            await timer.WaitForNextTickAsync();
        }
        finally
        {
            _turn.Release();
        }
    }
}

/// <summary>A clock by which short waits are over at once, and which knows how long they would have been.</summary>
public sealed class ImpatientTime : TimeProvider
{
    static readonly TimeSpan Short = TimeSpan.FromSeconds(59);
    readonly ConcurrentQueue<TimeSpan> _waits = [];

    public IReadOnlyList<TimeSpan> Waits => [.. _waits];

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (dueTime < TimeSpan.Zero || dueTime > Short) return base.CreateTimer(callback, state, dueTime, period);
        _waits.Enqueue(dueTime);
        return base.CreateTimer(callback, state, TimeSpan.Zero, period);
    }
}
