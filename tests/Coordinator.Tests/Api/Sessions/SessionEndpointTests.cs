using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Tests.Api.Sessions;

/// <summary>/v1/sessions: make, list, show, fork, export, import and delete sessions.</summary>
public sealed class SessionEndpointTests
{
    [Fact]
    public async Task A_session_is_made_shown_and_deleted()
    {
        await using var host = await SessionHost.StartAsync();
        var made = await host.Api.PostAsync(
            "/v1/sessions",
            """{"ttl":3600,"metadata":{"topic":"cats"},"messages":[{"role":"system","content":"Be kind."}]}""",
            200);
        var id = made.GetProperty("id").GetString()!;
        Assert.StartsWith("sess_", id);
        Assert.Equal(3600, made.GetProperty("expires").GetInt64() - made.GetProperty("updated").GetInt64());
        await host.TurnAsync(id, "One", "Yes");
        var shown = await host.Api.GetAsync($"/v1/sessions/{id}", 200);
        Assert.Equal("session", shown.GetProperty("object").GetString());
        Assert.Equal((1, 3), (shown.GetProperty("turns").GetInt32(), shown.GetProperty("messages").GetInt32()));
        Assert.Equal("cats", shown.GetProperty("metadata").GetProperty("topic").GetString());
        Assert.Equal(DemoModel.Served.Digest, shown.GetProperty("model_digest").GetString());
        Assert.True(shown.GetProperty("tokens").GetInt32() > 0);
        Assert.True(shown.GetProperty("kv").GetProperty("positions").GetInt32() > 0);

        using var deleted = await host.Api.Http.DeleteAsync($"/v1/sessions/{id}");
        Assert.Equal($$"""{"id":"{{id}}","object":"session.deleted","deleted":true}""", await deleted.Content.ReadAsStringAsync());
        var error = (await host.Api.GetAsync($"/v1/sessions/{id}", 404)).GetProperty("error");
        Assert.Equal(("session_not_found", "session_id"), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
    }

    [Fact]
    public async Task Sessions_are_listed_in_pages()
    {
        await using var host = await SessionHost.StartAsync();
        using (var without = await host.Api.Http.PostAsync("/v1/sessions", null)) Assert.Equal(HttpStatusCode.OK, without.StatusCode);
        for (var i = 0; i < 4; i++) await host.CreateAsync();
        var first = await host.Api.GetAsync("/v1/sessions?limit=3", 200);
        Assert.Equal((3, true), (first.GetProperty("data").GetArrayLength(), first.GetProperty("has_more").GetBoolean()));
        var second = await host.Api.GetAsync($"/v1/sessions?limit=3&after={first.GetProperty("last_id").GetString()}", 200);
        Assert.Equal((2, false), (second.GetProperty("data").GetArrayLength(), second.GetProperty("has_more").GetBoolean()));
        var oldest = await host.Api.GetAsync("/v1/sessions?order=asc", 200);
        Assert.Equal(second.GetProperty("last_id").GetString(), oldest.GetProperty("first_id").GetString());
        Assert.Equal(0, (await host.Api.GetAsync("/v1/sessions?updated_before=100", 200)).GetProperty("data").GetArrayLength());
        Assert.Equal(5, (await host.Api.GetAsync("/v1/sessions?updated_since=100", 200)).GetProperty("data").GetArrayLength());
    }

    [Theory]
    [InlineData("limit=0")]
    [InlineData("limit=x")]
    [InlineData("order=up")]
    [InlineData("updated_before=-1")]
    [InlineData("updated_since=99999999999999")]
    public async Task A_wrong_query_is_refused_by_name(string query)
    {
        await using var host = await SessionHost.StartAsync();
        var error = (await host.Api.GetAsync($"/v1/sessions?{query}", 400)).GetProperty("error");
        Assert.Equal(query.Split('=')[0], error.GetProperty("param").GetString());
    }

    [Fact]
    public async Task A_fork_goes_its_own_way_from_any_turn()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        await host.TurnAsync(id, "One", "First");
        var afterFirst = (await host.ExportAsync(id)).GetProperty("tokens").GetRawText();
        await host.TurnAsync(id, "Two", "Second");
        var whole = (await host.Api.PostAsync($"/v1/sessions/{id}/fork", "{}", 200)).GetProperty("id").GetString()!;
        var early = (await host.Api.PostAsync($"/v1/sessions/{id}/fork", """{"turns":1}""", 200)).GetProperty("id").GetString()!;
        Assert.Equal(afterFirst, (await host.ExportAsync(early)).GetProperty("tokens").GetRawText());
        await host.TurnAsync(whole, "Three", "Third");
        await host.TurnAsync(early, "Else", "Other");
        Assert.Equal(["user: One", "assistant: First", "user: Two", "assistant: Second"], await host.MessagesAsync(id));
        Assert.Equal(["user: One", "assistant: First", "user: Two", "assistant: Second", "user: Three", "assistant: Third"], await host.MessagesAsync(whole));
        Assert.Equal(["user: One", "assistant: First", "user: Else", "assistant: Other"], await host.MessagesAsync(early));
        var error = (await host.Api.PostAsync($"/v1/sessions/{id}/fork", """{"turns":3}""", 400)).GetProperty("error");
        Assert.Equal("'turns' is 3; the session has 2.", error.GetProperty("message").GetString());
        await host.Api.PostAsync("/v1/sessions/sess_unknown/fork", "{}", 404);
    }

    [Fact]
    public async Task An_exported_session_goes_on_elsewhere_with_its_ids()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync("""{"metadata":{"a":1}}""");
        host.Api.Engine.Play(Answers.BytesOf(" Hello\u00e9 "));
        using (await host.SendAsync(id, [("user", "One")])) { }
        var export = JsonNode.Parse((await host.ExportAsync(id)).GetRawText())!;

        await using var other = await SessionHost.StartAsync();
        var imported = (await other.Api.PostAsync("/v1/sessions/import", export.ToJsonString(), 200)).GetProperty("id").GetString()!;
        var again = JsonNode.Parse((await other.ExportAsync(imported)).GetRawText())!;
        foreach (var changes in new[] { "id", "updated" }) (export[changes], again[changes]) = (null, null);
        Assert.Equal(export.ToJsonString(), again.ToJsonString());
        var ids = export["tokens"]!.AsArray().Select(token => (int)token!).ToArray();
        await other.TurnAsync(imported, "Two", "Yes");
        Assert.Equal(ids, other.Prompt[..ids.Length]);

        // Ids that say something else than the messages are not believed.
        export["tokens"]!.AsArray()[^1] = 65;
        var doubtful = (await other.Api.PostAsync("/v1/sessions/import", export.ToJsonString(), 200)).GetProperty("id").GetString()!;
        Assert.Equal(0, (await other.ExportAsync(doubtful)).GetProperty("tokens").GetArrayLength());
        await other.TurnAsync(doubtful, "Two", "Yes");
        Assert.Contains("Hello\u00e9<|eot_id|>", other.PromptText);
    }

    [Fact]
    public async Task A_session_without_messages_can_be_exported_and_imported()
    {
        await using var host = await SessionHost.StartAsync();
        var export = await host.ExportAsync(await host.CreateAsync("""{"messages":[]}"""));
        Assert.Equal(0, export.GetProperty("messages").GetArrayLength());
        var imported = (await host.Api.PostAsync("/v1/sessions/import", export.GetRawText(), 200)).GetProperty("id").GetString()!;
        Assert.Equal("Yes", await host.TurnAsync(imported, "One", "Yes"));
    }

    [Theory]
    [InlineData("""{"object":"session.export","version":1,"chat_template_kwargs":{"messages":[]}}""", "chat_template_kwargs.messages")]
    [InlineData("""{"object":"session.export","version":1,"chat_template_kwargs":3}""", "chat_template_kwargs")]
    [InlineData("{}", "object")]
    [InlineData("""{"object":"session.export","version":2}""", "version")]
    [InlineData("""{"object":"session.export","version":1,"messages":[{"role":"king","content":""}]}""", "messages[0].role")]
    [InlineData("""{"object":"session.export","version":1,"turns":[{"messages":3,"tokens":0,"answer_characters":0}]}""", "turns[0].messages")]
    [InlineData("""{"object":"session.export","version":1,"created":-1}""", "created")]
    public async Task What_is_no_export_is_refused_by_name(string body, string param)
    {
        await using var host = await SessionHost.StartAsync();
        Assert.Equal(param, (await host.Api.PostAsync("/v1/sessions/import", body, 400)).GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task A_client_has_as_many_sessions_as_it_may()
    {
        await using var host = await SessionHost.StartAsync(new SessionsOptions { MostPerClient = 1 });
        await host.CreateAsync();
        var error = (await host.Api.PostAsync("/v1/sessions", "{}", 429)).GetProperty("error");
        Assert.Equal("session_limit_exceeded", error.GetProperty("code").GetString());
        using var named = await host.SayAsync("mine", "One", "Yes", """{"session_mode":"append"}""");
        Assert.Equal(HttpStatusCode.TooManyRequests, named.StatusCode);
    }

    [Fact]
    public async Task Where_sessions_cannot_be_kept_all_else_goes_on()
    {
        using var folder = new TempFolder();
        var path = folder.File("sessions.db");
        await File.WriteAllTextAsync(path, "This is no database at all, but a text of more than a hundred bytes, so that nobody can take it for one.");
        using var log = new LogLines(LogLevel.Warning);
        await using var api = await ApiHost.StartAsync(log: log, services: services => services.AddSingleton(provider => new SessionDirectory(
            new SessionsOptions(), new StatePlace.File(path), TimeProvider.System, provider.GetRequiredService<ILoggerFactory>())));
        for (var i = 0; i < 2; i++)
        {
            var error = (await api.PostAsync("/v1/sessions", "{}", 503)).GetProperty("error");
            Assert.Equal("session_store_unavailable", error.GetProperty("code").GetString());
            Assert.Contains($"sessions cannot be kept in {path}: it is damaged", error.GetProperty("message").GetString());
        }
        await api.PostAsync("/v1/chat/completions", Requests.Chat("""{"session_id":"sess_1"}"""), 503);
        api.Engine.Play(Answers.Stopped("Yes"));
        await api.PostAsync("/v1/chat/completions", Requests.Chat(), 200);
        await api.PostAsync("/v1/chat/completions", Requests.Chat("""{"session_id":"mine"}"""), 200);
        Assert.Single(log.Lines, line => line.Contains(path, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_turn_that_cannot_be_stored_is_not_told_as_done()
    {
        using var folder = new TempFolder();
        var path = folder.File("sessions.db");
        var directory = new SessionDirectory(new SessionsOptions(), new StatePlace.File(path), TimeProvider.System, LoggerFactory.Create(_ => { }));
        await using var api = await ApiHost.StartAsync(services: services => services.AddSingleton(_ => directory));
        var id = (await api.PostAsync("/v1/sessions", "{}", 200)).GetProperty("id").GetString()!;
        // Another program holds the file for longer than anybody waits.
        await using var other = new SqliteConnection($"Data Source={path};Pooling=False");
        await other.OpenAsync();
        await using (var locking = other.CreateCommand())
        {
            locking.CommandText = "BEGIN IMMEDIATE";
            await locking.ExecuteNonQueryAsync();
        }
        api.Engine.Play(Answers.Stopped("Yes"));
        var error = (await api.PostAsync("/v1/chat/completions", Requests.Chat($$"""{"session_id":"{{id}}"}"""), 503)).GetProperty("error");
        Assert.Contains("another program is using it", error.GetProperty("message").GetString());
        await using (var releasing = other.CreateCommand())
        {
            releasing.CommandText = "ROLLBACK";
            await releasing.ExecuteNonQueryAsync();
        }
        await api.PostAsync("/v1/chat/completions", Requests.Chat($$"""{"session_id":"{{id}}"}"""), 200);
        Assert.Equal(1, (await api.GetAsync($"/v1/sessions/{id}", 200)).GetProperty("turns").GetInt32());
    }

    [Fact]
    public void Ids_that_are_made_here_are_told_from_names()
    {
        Assert.True(SessionNames.IsOurs(SessionNames.New()));
        Assert.True(SessionNames.IsValid(SessionNames.New()));
        Assert.False(SessionNames.IsOurs("mine"));
        Assert.All(new[] { "", "a b", "a/b", "\u00e9", new string('x', 129) }, name => Assert.False(SessionNames.IsValid(name)));
    }
}
