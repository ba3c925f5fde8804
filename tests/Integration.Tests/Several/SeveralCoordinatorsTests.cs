using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Integration.Tests.Several;

/// <summary>Two coordinators, each with a replica: requests go where their KV is, and nothing is lost with a coordinator but the connections to it.</summary>
public sealed class SeveralCoordinatorsTests
{
    /// <summary>What a client may have to wait longer because a coordinator died.</summary>
    static readonly TimeSpan Delay = TimeSpan.FromSeconds(3);

    /// <summary>Test machines are slow, and shared.</summary>
    static readonly TimeSpan Slack = TimeSpan.FromSeconds(7);

    const string Beginning =
        "The old lighthouse keeper counted the ships that came past the rocks each night, wrote their names into a book with a blue cover, and told the gulls "
        + "which of them carried tea, which of them carried letters, and which of them carried nothing but salt water and songs about the people they had "
        + "left behind. One evening in autumn a ship came that had no name at all, and no lights, and nobody at the wheel. He rang the bell, and the village "
        + "below woke up, and people came out with lanterns and ropes and blankets, and stood on the stones, and waited for a voice from the dark that would "
        + "tell them what to do. But the ship only turned around twice, like a dog that looks for a place to sleep, and went";

    [RedisFact]
    public async Task A_stream_goes_on_elsewhere_when_the_coordinator_that_runs_it_is_killed()
    {
        await using var cluster = await SeveralCluster.StartAsync(2);
        var (runs, asked) = (cluster.Nodes[0], cluster.Nodes[1]);
        foreach (var body in Bodies())
        {
            var expected = await UndisturbedAsync(runs.Http, body);
            using var stream = await OpenElsewhereAsync(asked, runs, body);
            await runs.KillAsync();
            Assert.Equal(expected, await stream.RestAsync());
            Assert.Contains($"on replica {asked.Name}", asked.Coordinator.Log);

            await Signals.SendAsync("CONT", runs.Worker.Id);
            await cluster.StartAsync(runs);
            await cluster.AllReadyAsync();
            Assert.Contains("epoch ", runs.Coordinator.Log);
        }
    }

    [RedisFact]
    public async Task So_it_does_when_that_one_is_frozen_which_ends_when_it_wakes()
    {
        await using var cluster = await SeveralCluster.StartAsync(2);
        var (runs, asked) = (cluster.Nodes[0], cluster.Nodes[1]);
        var body = Bodies().First();
        var expected = await UndisturbedAsync(runs.Http, body);
        using var stream = await OpenElsewhereAsync(asked, runs, body);
        var clock = Stopwatch.StartNew();
        await Signals.SendAsync("STOP", runs.Coordinator.Id);
        await Signals.SendAsync("CONT", runs.Worker.Id);
        Assert.Equal(expected, await stream.RestAsync());
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, Delay + Slack);

        // The others take it for dead, and it finds that out.
        await asked.SeesAsync(replicas => replicas.Count == 1, "the frozen coordinator out of the cluster");
        await Signals.SendAsync("CONT", runs.Coordinator.Id);
        Assert.Equal(1, await runs.Coordinator.ExitAsync());
        Assert.Contains("the other coordinators took this one for dead", runs.Coordinator.Log);
        await cluster.StartAsync(runs);
        await cluster.AllReadyAsync();
    }

    [RedisFact]
    public async Task A_session_goes_on_at_any_coordinator_and_where_its_keys_and_values_are()
    {
        using var folder = new TempFolder();
        string adapter;
        using (var model = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf")))
            adapter = WideDemoAdapter.Write(folder.File("wide"), model.Config);
        await using var cluster = await SeveralCluster.StartAsync(2, "--lora", $"wide={adapter}");
        var (first, second) = (cluster.Nodes[0], cluster.Nodes[1]);
        var id = (string)(await PostAsync(first, "/v1/sessions", new JsonObject()))["id"]!;
        await TurnAsync(first, id, Beginning);
        var elsewhere = await TurnAsync(second, id, "And a layer?");
        Assert.True((int)elsewhere["usage"]!["prompt_tokens_details"]!["cached_tokens"]! > 100, elsewhere.ToJsonString());
        Assert.Equal(first.Name, (string?)(await second.Http.GetFromJsonAsync<JsonObject>($"/v1/sessions/{id}"))!["kv"]!["replica"]);

        var response = await PostAsync(first, "/v1/responses", new JsonObject { ["input"] = Beginning, ["max_output_tokens"] = 8, ["temperature"] = 0 });
        var next = await PostAsync(
            second, "/v1/responses",
            new JsonObject { ["previous_response_id"] = (string?)response["id"], ["input"] = "And a layer?", ["max_output_tokens"] = 8 });
        Assert.True((int)next["usage"]!["input_tokens_details"]!["cached_tokens"]! > 100, next.ToJsonString());

        // In the tokens of an adapter with a vocabulary of its own.
        var wide = (string)(await PostAsync(first, "/v1/sessions", new JsonObject()))["id"]!;
        await TurnAsync(first, wide, $"{Beginning} zyxw3", "wide");
        var there = await TurnAsync(second, wide, "And zyxw6?", "wide");
        Assert.True((int)there["usage"]!["prompt_tokens_details"]!["cached_tokens"]! > 100, there.ToJsonString());
        var tokens = (await second.Http.GetFromJsonAsync<JsonObject>($"/v1/sessions/{wide}/export"))!["tokens"]!
            .AsArray().Select(token => (int)token!).ToArray();
        Assert.Superset(new HashSet<int> { WideDemoAdapter.FirstOwn + 3, WideDemoAdapter.FirstOwn + 6 }, tokens.ToHashSet());

        // A turn is under way when its coordinator is killed. It is lost, what was answered is not, and the next one begins soon.
        await Signals.SendAsync("STOP", first.Worker.Id);
        var lost = TurnAsync(first, id, "And a worker?");
        await first.SeesAsync(replicas => (int)replicas[0]!["running"]! + (int)replicas[0]!["waiting"]! > 0, "the turn under way");
        await first.KillAsync();
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => lost);
        var clock = Stopwatch.StartNew();
        await TurnAsync(second, id, "And a coordinator?");
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, Delay + Slack);
        var exported = (await second.Http.GetFromJsonAsync<JsonObject>($"/v1/sessions/{id}/export"))!;
        Assert.Equal([Beginning, "And a layer?", "And a coordinator?"], Questions(exported));
        await Signals.SendAsync("CONT", first.Worker.Id);
    }

    [RedisFact]
    public async Task A_coordinator_without_workers_serves_by_the_others_and_says_that_it_is_not_ready_itself()
    {
        await using var cluster = await SeveralCluster.StartAsync(2);
        var (bare, serving) = (cluster.Nodes[0], cluster.Nodes[1]);
        await Signals.SendAsync("KILL", bare.Worker.Id);
        await bare.SeesAsync(replicas => (string?)replicas[0]!["state"] != "ready", "that its worker is gone");
        Assert.Equal(await UndisturbedAsync(serving.Http, Bodies().First()), await UndisturbedAsync(bare.Http, Bodies().First()));
        using var ready = await bare.Http.GetAsync("/ready");
        Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, ready.StatusCode);
    }

    [RedisFact]
    public async Task Redis_that_is_gone_costs_sessions_only()
    {
        await using var cluster = await SeveralCluster.StartAsync(2);
        cluster.Redis.Kill();
        foreach (var node in cluster.Nodes)
        {
            await UndisturbedAsync(node.Http, Bodies().First());
            using var refused = await node.Http.PostAsJsonAsync("/v1/sessions", new JsonObject());
            Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        }
        await using var late = new SeveralNode("replica-late");
        await cluster.StartAsync(late);
        late.StartWorker();
        await ReadyAnswer.WaitAsync(late.Http, System.Net.HttpStatusCode.OK);
        await UndisturbedAsync(late.Http, Bodies().First());
        Assert.Single(late.Coordinator.Log.Split('\n'), line => line.Contains("Other coordinators cannot be found"));
        cluster.Redis.Run();
        await late.SeesAsync(replicas => replicas.Count(replica => (string?)replica!["state"] == "ready") == 3, "the others");
    }

    [RedisFact]
    public async Task Two_coordinators_of_one_name_do_not_serve_at_once()
    {
        await using var cluster = await SeveralCluster.StartAsync(1);
        await using var twin = new SeveralNode(cluster.Nodes[0].Name);
        await cluster.StartAsync(twin);
        Assert.Equal(1, await twin.Coordinator.ExitAsync());
        Assert.Contains("which is alive: stop that one, or give this one another --name", twin.Coordinator.Log);
        await UndisturbedAsync(cluster.Nodes[0].Http, Bodies().First());
    }

    /// <summary>Greedy and sampled, with log-probabilities and several choices; of different beginnings, since who takes one over has its KV then.</summary>
    static IEnumerable<JsonObject> Bodies()
    {
        yield return new JsonObject
        {
            ["prompt"] = Beginning,
            ["max_tokens"] = 240,
            ["temperature"] = 0,
            ["ignore_eos"] = true,
            ["logprobs"] = 2,
            ["stream"] = true,
        };
        yield return new JsonObject
        {
            ["prompt"] = "Chapter two. " + Beginning,
            ["max_tokens"] = 200,
            ["temperature"] = 0.9,
            ["seed"] = 7,
            ["ignore_eos"] = true,
            ["n"] = 2,
            ["repetition_penalty"] = 1.1,
            ["stream"] = true,
        };
    }

    static async Task<IReadOnlyList<string>> UndisturbedAsync(HttpClient http, JsonObject body)
    {
        using var stream = await EventStream.OpenAsync(http, body.ToJsonString());
        return await stream.RestAsync();
    }

    /// <summary>
    /// Asks one coordinator for what the other has the KV of, until it sends the request there. The other one's worker is frozen then, or it would be done with
    /// the answer before anything happens to its coordinator.
    /// </summary>
    /// <returns>The stream, after some events.</returns>
    static async Task<EventStream> OpenElsewhereAsync(SeveralNode asked, SeveralNode runs, JsonObject body)
    {
        for (var attempt = 0; attempt < 5; attempt++)
        {
            var stream = await EventStream.OpenAsync(asked.Http, body.ToJsonString());
            await stream.ReadAsync(5);
            await Signals.SendAsync("STOP", runs.Worker.Id);
            var replicas = (await runs.Http.GetFromJsonAsync<JsonObject>("/v1/cluster"))!["coordinators"]!.AsArray();
            if ((int)replicas.Single(replica => (string?)replica!["id"] == runs.Name)!["running"]! > 0) return stream;
            await Signals.SendAsync("CONT", runs.Worker.Id);
            await stream.RestAsync();
            stream.Dispose();
        }
        throw new TimeoutException($"{asked.Name} runs itself what {runs.Name} has the keys and values of, or {runs.Name} is always done with it");
    }

    static IEnumerable<string?> Questions(JsonObject exported)
        => exported["messages"]!.AsArray().Where(message => (string?)message!["role"] == "user").Select(message => (string?)message!["content"]);

    /// <param name="model">An adapter; null: the model itself.</param>
    static Task<JsonNode> TurnAsync(SeveralNode node, string session, string question, string? model = null)
        => PostAsync(node, "/v1/chat/completions", new JsonObject
        {
            ["model"] = model,
            ["session_id"] = session,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = question }),
            ["temperature"] = 0,
            ["max_tokens"] = 40,
        });

    static async Task<JsonNode> PostAsync(SeveralNode node, string path, JsonObject body)
    {
        using var response = await node.Http.PostAsJsonAsync(path, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }
}
