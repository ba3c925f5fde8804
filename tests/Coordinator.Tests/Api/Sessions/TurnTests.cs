using System.Net;
using System.Text.Json;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Sessions;
using LlamaCluster.Testing;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Tests.Api.Sessions;

/// <summary>Turns of stored sessions: what the model reads, and what is kept.</summary>
public sealed class TurnTests
{
    const string Begin = "<|begin_of_text|>";

    [Fact]
    public async Task A_turn_goes_on_with_the_very_ids_of_the_answers()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync("""{"messages":[{"role":"system","content":"Be kind."}]}""");
        // One token per byte: no tokenizer would cut the text so.
        SequenceEvent[] answer = [.. Answers.BytesOf(" Hi\u00e9 ")[..^1], Answers.Token(DemoModel.EndOfTurn), new SequenceEvent.Finished(FinishReason.Stop)];
        host.Api.Engine.Script = _ => answer.ToAsyncEnumerable();
        using var first = await host.SendAsync(id, [("user", "One")]);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.Equal("1", Assert.Single(first.Headers.GetValues("X-Session-Turn")));
        Assert.Equal(id, Assert.Single(first.Headers.GetValues("X-Session-Id")));
        var prompt = host.Prompt;
        Assert.Equal($"{Begin}{Message("system", "Be kind.")}{Message("user", "One")}{Open}", host.PromptText);

        Assert.Equal("Bye", await host.TurnAsync(id, "Two", "Bye"));
        int[] known = [.. prompt, .. Answers.BytesOf(" Hi\u00e9 ")[..^1].Cast<SequenceEvent.Token>().Select(token => token.Sampled.Id), DemoModel.EndOfTurn];
        Assert.Equal(known, host.Prompt[..known.Length]);
        Assert.Equal($"{Message("user", "Two")}{Open}", SessionHost.TextOf(host.Prompt[known.Length..]));
        Assert.Equal(["system: Be kind.", "user: One", "assistant:  Hi\u00e9 ", "user: Two", "assistant: Bye"], await host.MessagesAsync(id));
        Assert.Equal(id, host.Api.Engine.Requests[^1].SessionKey);
    }

    [Fact]
    public async Task An_answer_ends_where_a_stop_text_begins_also_within_a_token()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        Assert.Equal("The ca", await host.TurnAsync(id, "One", "The cat sat", """{"stop":"t s"}"""));
        await host.TurnAsync(id, "Two", "Yes");
        Assert.Equal($"{Begin}{Message("user", "One")}{Message("assistant", "The ca")}{Message("user", "Two")}{Open}", host.PromptText);
        Assert.Equal(["user: One", "assistant: The ca", "user: Two", "assistant: Yes"], await host.MessagesAsync(id));
    }

    [Fact]
    public async Task A_name_of_the_clients_own_stores_nothing_unless_told_to()
    {
        await using var host = await SessionHost.StartAsync();
        await host.TurnAsync("mine", "One", "Yes");
        Assert.Equal("mine", host.Api.Engine.Requests[^1].SessionKey);
        using (await host.SayAsync(null!, "One", "Yes", header: "theirs"))
            Assert.Equal("theirs", host.Api.Engine.Requests[^1].SessionKey);
        using (await host.SayAsync(null!, "One", "Yes", header: "no name"))
            Assert.Null(host.Api.Engine.Requests[^1].SessionKey);
        await host.Api.GetAsync("/v1/sessions/mine", 404);

        await host.TurnAsync("mine", "One", "Yes", """{"session_mode":"append"}""");
        await host.TurnAsync("mine", "Two", "No", """{"session_mode":"append"}""");
        Assert.Equal(["user: One", "assistant: Yes", "user: Two", "assistant: No"], await host.MessagesAsync("mine"));
    }

    [Fact]
    public async Task The_header_never_appends()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        await host.TurnAsync(id, "One", "Yes");
        using (await host.SayAsync(null!, "Two", "No", header: id)) Assert.Equal($"{Begin}{Message("user", "Two")}{Open}", host.PromptText);
        Assert.Equal(["user: One", "assistant: Yes"], await host.MessagesAsync(id));
        using (var stored = await host.SayAsync(null!, "Two", "No", """{"session_mode":"append"}""", id))
            Assert.Equal("2", Assert.Single(stored.Headers.GetValues("X-Session-Turn")));
    }

    [Fact]
    public async Task A_whole_history_that_extends_the_stored_one_keeps_its_ids()
    {
        await using var host = await SessionHost.StartAsync();
        const string replace = """{"session_mode":"replace"}""";
        host.Api.Engine.Play(Answers.BytesOf("Hello"));
        using (await host.SendAsync("agent", [("user", "One")], replace)) { }
        var ids = (await host.ExportAsync("agent")).GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32()).ToArray();
        host.Api.Engine.Play(Answers.Stopped("Yes"));
        using (await host.SendAsync("agent", [("user", "One"), ("assistant", "Hello"), ("user", "Two")], replace)) Assert.Equal(ids, host.Prompt[..ids.Length]);
        Assert.Equal(2, (await host.ExportAsync("agent")).GetProperty("turns").GetArrayLength());

        using (await host.SendAsync("agent", [("user", "Anew")], replace)) { }
        Assert.Equal(["user: Anew", "assistant: Yes"], await host.MessagesAsync("agent"));
    }

    [Fact]
    public async Task Another_model_reads_the_messages_anew()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        host.Api.Engine.Play(Answers.BytesOf("Hello"));
        using (await host.SendAsync(id, [("user", "One")])) { }
        var export = (await host.ExportAsync(id)).GetRawText();

        await using var other = await SessionHost.StartAsync(model: DemoModel.Served with { Digest = "sha256:another0000000000" });
        var imported = (await other.Api.PostAsync("/v1/sessions/import", export, 200)).GetProperty("id").GetString()!;
        await other.TurnAsync(imported, "Two", "Yes");
        Assert.Equal($"{Begin}{Message("user", "One")}{Message("assistant", "Hello")}{Message("user", "Two")}{Open}", other.PromptText);
        Assert.Equal(DemoModel.Text.Tokenizer.Encode(other.PromptText, addSpecial: false, parseSpecial: true), other.Prompt);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_second_turn_waits_or_is_refused(bool waits)
    {
        await using var host = await SessionHost.StartAsync(new SessionsOptions { WaitForTurns = waits });
        var id = await host.CreateAsync();
        var (begun, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        host.Api.Engine.Script = _ => Held(begun, goOn.Task);
        var first = host.SendAsync(id, [("user", "One")]);
        await begun.Task.Soon();
        var second = host.SayAsync(id, "Two", "Second");
        if (!waits)
        {
            using var refused = await second.Soon();
            Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
            Assert.Contains("session_busy", await refused.Content.ReadAsStringAsync());
        }
        goOn.SetResult();
        using (await first.Soon()) { }
        if (waits)
        {
            using var after = await second.Soon();
            Assert.Equal("2", Assert.Single(after.Headers.GetValues("X-Session-Turn")));
        }
        Assert.Equal((string[])["user: One", "assistant: First", .. waits ? (string[])["user: Two", "assistant: Second"] : []], await host.MessagesAsync(id));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_leaves_leaves_the_session_as_it_was_or_with_what_it_was_sent(bool keeps)
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        await host.TurnAsync(id, "One", "Yes");
        host.Api.Engine.Script = _ => EndlessStream.After(Answers.Of("Half an ans")[..^1]);
        using (var response = await host.SendAsync(id, [("user", "Two")], $$"""{"stream":true,"keep_partial":{{(keeps ? "true" : "false")}}}"""))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            for (var text = ""; text != "Half an ans";) text += PieceOf(await reader.ReadLineAsync().Soon("the whole of the half answer"));
        }
        await host.TurnAsync(id, "Three", "No");   // waits for the other's end
        Assert.Equal(
            (string[])["user: One", "assistant: Yes", .. keeps ? (string[])["user: Two", "assistant: Half an ans"] : [], "user: Three", "assistant: No"],
            await host.MessagesAsync(id));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"keep_partial":true}""")]
    [InlineData("""{"keep_partial":true,"stream":true}""")]
    public async Task A_turn_that_fails_leaves_the_session_as_it_was(string more)
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        host.Api.Engine.Play([.. Answers.Of("Half")[..^1], new SequenceEvent.Failed("a worker was lost", Retryable: true)]);
        using (var failed = await host.SendAsync(id, [("user", "One")], more))
        {
            Assert.Equal(more.Contains("stream") ? HttpStatusCode.OK : HttpStatusCode.ServiceUnavailable, failed.StatusCode);
            Assert.Contains("a worker was lost", await failed.Content.ReadAsStringAsync());
        }
        Assert.Empty(await host.MessagesAsync(id));
        await host.TurnAsync(id, "Two", "Yes");
        Assert.Equal(["user: Two", "assistant: Yes"], await host.MessagesAsync(id));
    }

    [Fact]
    public async Task A_deleted_session_is_not_answered_for()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        var (begun, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        host.Api.Engine.Script = _ => Held(begun, goOn.Task);
        var turn = host.SendAsync(id, [("user", "One")]);
        await begun.Task.Soon();
        using (await host.Api.Http.DeleteAsync($"/v1/sessions/{id}")) { }
        goOn.SetResult();
        using var answered = await turn.Soon();
        Assert.Equal(HttpStatusCode.Conflict, answered.StatusCode);
        using var gone = await host.SayAsync(id, "Two", "Yes");
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        Assert.Contains("session_not_found", await gone.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_stream_says_its_end_when_the_turn_is_stored()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        host.Api.Engine.Play(Answers.Stopped("Streamed"));
        using var response = await host.SendAsync(id, [("user", "One")], """{"stream":true}""");
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        while (await reader.ReadLineAsync() is { } line)
            if (line.Contains("\"finish_reason\":\"stop\"", StringComparison.Ordinal)) break;
        Assert.Equal(["user: One", "assistant: Streamed"], await host.MessagesAsync(id));
    }

    [Fact]
    public async Task A_full_context_is_refused_with_the_sum_or_the_oldest_turns_go()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync("""{"messages":[{"role":"system","content":"Be kind."}]}""");
        var turn = 0;
        string Long() => string.Concat(Enumerable.Repeat($"word{turn} ", 20)).Trim();
        HttpResponseMessage response;
        while ((response = await host.SayAsync(id, $"Question {++turn}: {Long()}", "Yes")).IsSuccessStatusCode) response.Dispose();
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
        response.Dispose();
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
        Assert.Matches(
            @"maximum context length is 512 tokens, but this turn's prompt has (\d+): \d+ of the session so far and \d+ new.*truncation",
            error.GetProperty("message").GetString());
        var known = (await host.MessagesAsync(id)).Length;

        using var cut = await host.SayAsync(id, $"Question {turn}: {Long()}", "Yes", """{"truncation":"auto"}""");
        var dropped = int.Parse(Assert.Single(cut.Headers.GetValues("X-Session-Dropped")));
        var messages = await host.MessagesAsync(id);
        Assert.Equal(known + 2 - dropped, messages.Length);
        Assert.Equal("system: Be kind.", messages[0]);
        Assert.StartsWith($"user: Question {1 + (dropped / 2)}:", messages[1]);
        Assert.InRange(host.Prompt.Length, 1, DemoModel.Context * 3 / 4);
        Assert.StartsWith($"{Begin}{Message("system", "Be kind.")}<|start_header_id|>user", host.PromptText);

        // The next turn extends what is left.
        var before = host.Prompt;
        await host.TurnAsync(id, "And now?", "Yes");
        Assert.Equal(before, host.Prompt[..before.Length]);
        Assert.Equal(dropped, (await host.ExportAsync(id)).GetProperty("dropped_messages").GetInt32());
    }

    [Theory]
    [InlineData("""{"n":2}""", "'n' must be 1")]
    [InlineData("""{"add_generation_prompt":false}""", "'add_generation_prompt' must be true")]
    [InlineData("""{"session_mode":"other"}""", "'session_mode' must be \"append\" or \"replace\"")]
    [InlineData("""{"truncation":"some"}""", "'truncation' must be \"disabled\" or \"auto\"")]
    [InlineData("""{"keep_partial":1}""", "'keep_partial' must be true or false")]
    public async Task What_a_turn_cannot_be_is_refused_by_name(string more, string message)
    {
        await using var host = await SessionHost.StartAsync();
        using var response = await host.SayAsync(await host.CreateAsync(), "One", "Yes", more);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(
            message,
            JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error").GetProperty("message").GetString());
    }

    [Theory]
    [InlineData("""{"session_mode":"append"}""", "needs a session")]
    [InlineData("""{"keep_partial":true}""", "is for the turns of a stored session")]
    [InlineData("""{"truncation":"auto"}""", "is for the turns of a stored session")]
    public async Task Without_a_session_its_fields_are_refused(string more, string message)
    {
        await using var host = await SessionHost.StartAsync();
        using var response = await host.SayAsync(null!, "One", "Yes", more);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(message, await response.Content.ReadAsStringAsync());
    }

    static string PieceOf(string? line) => line is ['d', 'a', 't', 'a', ':', ' ', .. var data]
        ? JsonDocument.Parse(data).RootElement.GetProperty("choices")[0].GetProperty("delta").TryGetProperty("content", out var piece) ? piece.GetString()! : ""
        : "";

    static string Open => "<|start_header_id|>assistant<|end_header_id|>\n\n";

    static string Message(string role, string content) => $"<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>";

    static async IAsyncEnumerable<SequenceEvent> Held(TaskCompletionSource begun, Task goOn)
    {
        begun.SetResult();
        await goOn;
        foreach (var happened in Answers.Stopped("First")) yield return happened;
    }
}
