using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Integration.Tests.Several;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// Clients of several coordinators that die. A client sends each turn to whichever coordinator it comes to, and when that one dies it looks what became of the
/// turn at another one, as docs/sessions.md says.
/// </summary>
sealed class SeveralClients(SeveralCluster cluster)
{
    /// <summary>The longest that a turn may take, with all the coordinators that die meanwhile.</summary>
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    readonly ConcurrentDictionary<int, int> _kills = [];   // of each node
    readonly ConcurrentQueue<(double Seconds, string Course)> _waits = [];
    readonly ConcurrentQueue<double> _undisturbed = [];
    readonly ConcurrentDictionary<string, int> _reasons = [];
    int _answered;
    int _refused;
    int _broken;

    public int Answered => _answered;

    /// <summary>Answers with a status that says to try again.</summary>
    public int Refused => _refused;

    /// <summary>What these said, and how often.</summary>
    public IReadOnlyDictionary<string, int> Reasons => _reasons;

    /// <summary>Connections that ended with their coordinator.</summary>
    public int Broken => _broken;

    /// <summary>From the first failure of a turn until it was answered, each in seconds, and what was tried when.</summary>
    public IReadOnlyCollection<(double Seconds, string Course)> Waits => _waits;

    /// <summary>What turns took that did not fail, each in seconds.</summary>
    public IReadOnlyCollection<double> Undisturbed => _undisturbed;

    public void NoteKill(int node) => _kills.AddOrUpdate(node, 1, (_, count) => count + 1);

    /// <summary>Has a conversation from its beginning to its end.</summary>
    /// <param name="expected">The answers; null: they are what they are.</param>
    /// <param name="nodes">Chooses a node for each request.</param>
    /// <param name="thinking">Time between an answer and the next turn.</param>
    /// <returns>The answers.</returns>
    public async Task<IReadOnlyList<string>> ConverseAsync(SeveralScript script, IReadOnlyList<string>? expected, Func<int> nodes, TimeSpan thinking = default)
    {
        var id = (string)(await PostAsync(nodes, "/v1/sessions", new JsonObject()))["id"]!;
        List<string> answers = [];
        for (var turn = 0; turn < SeveralScript.Turns; turn++)
        {
            if (thinking > TimeSpan.Zero) await PassAsync(thinking);
            answers.Add(await TurnAsync(id, turn, script.Turn(turn, id), nodes));
            if (expected is not null)
                Assert.True(expected[turn] == answers[turn], $"script {script.Number}, turn {turn}: expected\n{expected[turn]}\nbut got\n{answers[turn]}");
        }
        var messages = (await GetAsync(nodes, $"/v1/sessions/{id}/export"))!["messages"]!.AsArray().Select(message => (string)message!["content"]!).ToList();
        Assert.Equal(Enumerable.Range(0, SeveralScript.Turns).SelectMany(turn => new[] { script.Question(turn), answers[turn] }), messages);
        return answers;
    }

    /// <summary>Several clients go on with one session at the same time. Nobody's turn is lost, and none is there twice.</summary>
    public async Task CrowdAsync(int clients, int turns, Func<int> nodes)
    {
        var id = (string)(await PostAsync(nodes, "/v1/sessions", new JsonObject()))["id"]!;
        var told = 0;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async client =>
        {
            for (var turn = 0; turn < turns; turn++)
                if (await TryAsync(nodes(), SeveralScript.Short(id, $"client {client}, turn {turn}")) is not null) Interlocked.Increment(ref told);
        }));
        var questions = (await GetAsync(nodes, $"/v1/sessions/{id}/export"))!["messages"]!.AsArray()
            .Where(message => (string)message!["role"]! == "user").Select(message => (string)message!["content"]!).ToList();
        Assert.Equal(questions.Distinct().Count(), questions.Count);
        Assert.InRange(questions.Count, told, clients * turns);
    }

    /// <summary>One turn, as often as it takes, each time at the next node.</summary>
    async Task<string> TurnAsync(string id, int turn, JsonObject body, Func<int> nodes)
    {
        var clock = Stopwatch.StartNew();
        TimeSpan? failed = null;
        var node = nodes();
        List<string> course = [];
        void Note(string what) =>
            course.Add(string.Create(CultureInfo.InvariantCulture, $"{what} after {(clock.Elapsed - (failed ?? clock.Elapsed)).TotalSeconds:0.00} s"));
        while (clock.Elapsed < Deadline)
        {
            var answer = failed is null ? null : await StoredAsync(id, turn, From(node));
            if (failed is not null) Note($"looked at node {node}");
            if ((answer ?? await TryAsync(node, body)) is { } text)
            {
                Interlocked.Increment(ref _answered);
                if (failed is { } since) _waits.Enqueue(((clock.Elapsed - since).TotalSeconds, string.Join(", ", course)));
                else _undisturbed.Enqueue(clock.Elapsed.TotalSeconds);
                return text;
            }
            failed ??= clock.Elapsed;
            Note($"failed at node {node}");
            node = (node + 1) % cluster.Nodes.Count;
            await PassAsync(Pause);
        }
        throw new TimeoutException($"turn {turn} of {id} was not answered for {Deadline.TotalSeconds} s");
    }

    /// <summary>This node, and the others after it.</summary>
    Func<int> From(int node) => () => node++ % cluster.Nodes.Count;

    /// <returns>The answer of a turn that was stored although its connection broke; null: it was not.</returns>
    async Task<string?> StoredAsync(string id, int turn, Func<int> nodes)
    {
        var messages = (await GetAsync(nodes, $"/v1/sessions/{id}/export"))!["messages"]!.AsArray();
        return messages.Count > 2 * turn ? (string)messages[2 * turn + 1]!["content"]! : null;
    }

    /// <returns>Null if there was none: the coordinator died, or it said to try again.</returns>
    async Task<string?> TryAsync(int node, JsonObject body)
    {
        var kills = _kills.GetValueOrDefault(node);
        using var deadline = new CancellationTokenSource(Deadline);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
            {
                Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"),
            };
            using var response = await cluster.Nodes[node].Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
            if ((int)response.StatusCode is 503 or 409 or 429)
            {
                NoteRefusal(await response.Content.ReadAsStringAsync(deadline.Token));
                return null;
            }
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(deadline.Token));
            if ((bool?)body["stream"] != true)
                return (string)JsonNode.Parse(await response.Content.ReadAsStringAsync(deadline.Token))!["choices"]![0]!["message"]!["content"]!;
            return await ReadEventsAsync(response, deadline.Token);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            Interlocked.Increment(ref _broken);
            Assert.True(
                _kills.GetValueOrDefault(node) > kills || !IsAlive(node),
                $"the connection to {cluster.Nodes[node].Name} broke although it was not killed: {e}\n{cluster.Nodes[node].Coordinator.Log}");
            return null;
        }
    }

    /// <summary>One that is being started again has been killed before.</summary>
    bool IsAlive(int node) => _kills.GetValueOrDefault(node) == 0;

    async Task<string?> ReadEventsAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var (text, isDone) = (new StringBuilder(), false);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
        while (await reader.ReadLineAsync(cancellation) is { } line)
        {
            isDone |= line == "data: [DONE]";
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            var data = JsonNode.Parse(line["data: ".Length..])!;
            if (data["error"] is { } error)
            {
                NoteRefusal(error.ToJsonString());
                return null;
            }
            text.Append((string?)data["choices"]![0]!["delta"]?["content"]);
        }
        return isDone ? text.ToString() : throw new IOException("a stream ended without [DONE]");
    }

    void NoteRefusal(string text)
    {
        Interlocked.Increment(ref _refused);
        _reasons.AddOrUpdate(text, 1, (_, count) => count + 1);
    }

    /// <summary>A request that can be sent again.</summary>
    async Task<JsonNode?> GetAsync(Func<int> nodes, string path) => await AgainAsync(nodes, http => http.GetAsync(path));

    async Task<JsonNode> PostAsync(Func<int> nodes, string path, JsonObject body) => (await AgainAsync(nodes, http => http.PostAsJsonAsync(path, body)))!;

    async Task<JsonNode?> AgainAsync(Func<int> nodes, Func<HttpClient, Task<HttpResponseMessage>> send)
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < Deadline; await PassAsync(Pause))
            try
            {
                using var response = await send(cluster.Nodes[nodes()].Http);
                var text = await response.Content.ReadAsStringAsync();
                if (response.IsSuccessStatusCode) return JsonNode.Parse(text);
                Assert.True((int)response.StatusCode == 503, text);
                NoteRefusal(text);
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                continue;
            }
        throw new TimeoutException($"no coordinator answered for {Deadline.TotalSeconds} s");
    }

    static async Task PassAsync(TimeSpan time)
    {
        using var timer = new PeriodicTimer(time);
        await timer.WaitForNextTickAsync();
    }
}

/// <summary>A conversation whose questions are always the same, so that its answers are.</summary>
sealed record SeveralScript(int Number)
{
    public const int Turns = 3;

    static readonly string[] Beginnings =
    [
        "Once upon a time there was a cluster of machines that told stories to each other at night, "
            + "one word after the other, and none of them ever forgot a word. What did they tell?",
        "What is a KV cache, why does a model keep keys and values of all the positions that it has read, "
            + "and what would happen if it computed them again for each token?",
        "A worker holds some layers of a model and hands what it has computed to the next one. How does a coordinator know which of them to give which layers?",
    ];

    public string Question(int turn) =>
        turn == 0 ? $"{Beginnings[Number % Beginnings.Length]} ({Number})" : $"And what came after that, number {Number + turn}?";

    public JsonObject Turn(int turn, string session) => new()
    {
        ["session_id"] = session,
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = Question(turn) }),
        ["max_tokens"] = 48,
        ["temperature"] = Number % 2 == 0 ? 0 : 0.8,
        ["seed"] = Number,
        ["ignore_eos"] = true,
        ["stream"] = (Number + turn) % 3 != 0,
    };

    /// <summary>A turn with a short answer, of a session that may become too long.</summary>
    public static JsonObject Short(string session, string question) => new()
    {
        ["session_id"] = session,
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = question }),
        ["max_tokens"] = 8,
        ["temperature"] = 0,
    };
}
