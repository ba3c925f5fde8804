using System.Net;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Auditing;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Tests.Api.Auditing;

/// <summary>Who did what, in a file.</summary>
public sealed class AuditLogTests : IDisposable
{
    readonly TempFolder _folder = new();
    readonly LogLines _log = new(LogLevel.Warning);

    string LogPath => _folder.File("audit.jsonl");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Each_request_is_a_line_that_says_who_and_what_and_nothing_of_what_was_said()
    {
        var key = ApiKey.NewText();
        File.WriteAllText(_folder.File("keys"), ApiKeyFile.LineOf("alice", "inference", key, new KeyLimits(RequestsPerMinute: 2)));
        await using (var api = await ApiHost.StartAsync(options: new ApiOptions { KeysFile = _folder.File("keys"), AuditLog = LogPath }))
        {
            api.Engine.Play(Answers.Of("a secret answer"));
            var chat = """{"messages":[{"role":"user","content":"a secret question"}]}""";
            foreach (var (path, body, shown) in new (string, string?, string?)[]
            {
                ("/v1/chat/completions", chat, key), ("/v1/completions?secret=1", """{"prompt":"a secret question","stream":true}""", key),
                ("/v1/completions", "{}", key), ("/v1/models", null, key), ("/v1/chat/completions", chat, null), ("/v1/chat/completions", chat, "llc-secret"),
                ("/health", null, null), ("/ready", null, key), ("/no/such/addr%C3%A9ss", null, key),
            })
            {
                using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, path)
                {
                    Content = body is null ? null : ApiHost.JsonContent(body),
                };
                if (shown is not null) request.Headers.Authorization = new("Bearer", shown);
                using var answer = await api.Http.SendAsync(request);
                await answer.Content.ReadAsStringAsync();
            }
        }
        var lines = Lines();
        Assert.Equal(
            [
                "alice POST /v1/chat/completions 200", "alice POST /v1/completions 200", "alice POST /v1/completions 429", "alice GET /v1/models 200",
                " POST /v1/chat/completions 401", " POST /v1/chat/completions 401", "alice GET /no/such/addr%C3%A9ss 404",
            ],
            lines.Select(line =>
                $"{line.GetProperty("key").GetString()} {line.GetProperty("method")} {line.GetProperty("path")} {line.GetProperty("status")}"));
        Assert.DoesNotContain("secret", File.ReadAllText(LogPath));
        foreach (var line in lines[..2])
        {
            Assert.Equal(Answers.IdsOf("a secret answer").Count, line.GetProperty("completion_tokens").GetInt32());
            Assert.InRange(line.GetProperty("prompt_tokens").GetInt32(), 3, 100);
            Assert.StartsWith("req_", line.GetProperty("request_id").GetString());
            Assert.Equal("127.0.0.1", line.GetProperty("client").GetString());
            Assert.InRange(line.GetProperty("time").GetDateTimeOffset(), DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow);
        }
        Assert.All(lines, line => Assert.False(line.TryGetProperty("cut", out _)));
    }

    [Fact]
    public async Task A_client_that_leaves_is_written_down_with_what_it_had_by_then()
    {
        await using (var api = await ApiHost.StartAsync(options: new ApiOptions { AuditLog = LogPath }))
        {
            api.Engine.Script = _ => EndlessStream.After([.. Answers.IdsOf("a worker").Select(id => Answers.Token(id))]);
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
            {
                Content = ApiHost.JsonContent("""{"prompt":"Hi","stream":true}"""),
            };
            using (var answer = await api.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
            {
                using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
                Assert.StartsWith("data: ", await reader.ReadLineAsync());
            }
            await UntilAsync(() => File.Exists(LogPath) && File.ReadAllText(LogPath).EndsWith('\n'));
        }
        var line = Assert.Single(Lines());
        Assert.Equal((200, true), (line.GetProperty("status").GetInt32(), line.GetProperty("cut").GetBoolean()));
        Assert.InRange(line.GetProperty("completion_tokens").GetInt32(), 1, 10);
        Assert.Equal(JsonValueKind.Null, line.GetProperty("key").ValueKind);
    }

    [Fact]
    public async Task The_file_may_be_moved_away_at_any_time()
    {
        await using (var audit = Open())
        {
            await audit.AddAsync(Entry("first"));
            await UntilAsync(() => File.Exists(LogPath) && File.ReadAllText(LogPath).EndsWith('\n'));
            File.Move(LogPath, _folder.File("audit.jsonl.1"));
            await audit.AddAsync(Entry("second"));
        }
        Assert.Contains("\"first\"", File.ReadAllText(_folder.File("audit.jsonl.1")));
        Assert.Equal("second", Assert.Single(Lines()).GetProperty("request_id").GetString());
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(LogPath));
    }

    [Fact]
    public async Task A_full_disk_is_reported_once_holds_up_nobody_and_what_found_no_room_is_counted()
    {
        if (!OperatingSystem.IsLinux()) return;   // /dev/full is Linux's
        File.CreateSymbolicLink(LogPath, "/dev/full");
        const int tooMany = 100;
        await using (var audit = Open())
        {
            await audit.AddAsync(Entry("0"));
            await UntilAsync(() => _log.Lines.Any(line => line.Contains("cannot be written")));
            // One batch is in the writer's hands, so the queue has room for more than it holds; every entry is taken or counted, and none waits.
            for (var i = 1; i < AuditLog.Ahead + tooMany; i++)
            {
                var added = audit.AddAsync(Entry($"{i}"));
                Assert.True(added.IsCompletedSuccessfully);
                await added;
            }
            File.Delete(LogPath);
            await UntilAsync(() => File.Exists(LogPath) && File.ReadLines(LogPath).Count() > AuditLog.Ahead);
        }
        var lines = Lines();
        var missing = lines.Where(line => line.TryGetProperty("entries_missing", out _)).Sum(line => line.GetProperty("entries_missing").GetInt32());
        Assert.InRange(missing, 1, tooMany);
        Assert.Equal(AuditLog.Ahead + tooMany, lines.Count(line => line.TryGetProperty("request_id", out _)) + missing);
        Assert.Single(_log.Lines, line => line.Contains("cannot be written"));
        Assert.Single(_log.Lines, line => line.Contains("is written again"));
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_one_line()
    {
        var error = Assert.Throws<IOException>(() => new AuditLog(_folder.File("no/such/folder/a"), TimeProvider.System, Logger));
        Assert.StartsWith($"--audit-log: cannot write {_folder.File("no/such/folder/a")}: ", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    ILogger<AuditLog> Logger => LoggerFactory.Create(logging => logging.AddProvider(_log)).CreateLogger<AuditLog>();

    AuditLog Open() => new(LogPath, TimeProvider.System, Logger);

    static AuditEntry Entry(string id) =>
        new(DateTimeOffset.UtcNow, id, "alice", IPAddress.Loopback, "POST", "/v1/completions", 200, false, 3, 4, TimeSpan.FromMilliseconds(5));

    List<JsonElement> Lines() => [.. File.ReadAllLines(LogPath).Select(line => JsonDocument.Parse(line).RootElement)];

    static async Task UntilAsync(Func<bool> isSo)
    {
        using var deadline = new CancellationTokenSource(ApiHost.Deadline);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!isSo()) await timer.WaitForNextTickAsync(deadline.Token);
    }
}
