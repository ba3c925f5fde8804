using System.Net;
using System.Text;
using System.Text.Json;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>A coordinator that is frozen for a while, as a suspended virtual machine is.</summary>
public sealed class FrozenCoordinatorTests
{
    const string Body = """{"prompt":"Once upon a time","max_tokens":400,"temperature":0,"stream":true}""";

    [Fact]
    public async Task Workers_that_gave_up_on_a_frozen_coordinator_are_not_lost_when_it_wakes_and_streams_go_on()
    {
        await using var coordinator = CliProcess.Start(
            "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0", "--workers", "1");
        var addresses = (await coordinator.ErrorLineAsync("listening api=")).Split(' ');
        using var http = new HttpClient { BaseAddress = new Uri(addresses[1]["api=".Length..]), Timeout = CliProcess.Deadline };
        await using var worker = CliProcess.Start("worker", "--coordinator", addresses[2]["grpc=".Length..], "--name", "only", "--threads", "1");
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);
        var undisturbed = await TextAsync(http);

        using var stream = await BeginAsync(http);
        using var lines = new StreamReader(await stream.Content.ReadAsStreamAsync());
        var text = new StringBuilder(PieceOf((await lines.ReadLineAsync())!));
        await Signals.SendAsync("STOP", coordinator.Id);
        await worker.ErrorLineAsync("Not registered with the coordinator");   // it has waited for the heartbeat timeout
        await Signals.SendAsync("CONT", coordinator.Id);

        await ReadToEndAsync(lines, text);
        Assert.Equal(undisturbed, text.ToString());
        await coordinator.ErrorLineAsync("registered again; it keeps its part of the plan");
        Assert.DoesNotContain("is lost", coordinator.Log);
        Assert.Equal(undisturbed, await TextAsync(http));
    }

    static async Task<string> TextAsync(HttpClient http)
    {
        using var answer = await BeginAsync(http);
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync());
        var text = new StringBuilder();
        await ReadToEndAsync(lines, text);
        return text.ToString();
    }

    static async Task<HttpResponseMessage> BeginAsync(HttpClient http)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent(Body, Encoding.UTF8, "application/json") };
        var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return answer;
    }

    static async Task ReadToEndAsync(StreamReader lines, StringBuilder text)
    {
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        while (await lines.ReadLineAsync(deadline.Token) is { } line) text.Append(PieceOf(line));
    }

    /// <summary>The text of an event; "" for anything else.</summary>
    static string PieceOf(string line)
    {
        if (!line.StartsWith("data: {", StringComparison.Ordinal)) return "";
        using var json = JsonDocument.Parse(line["data: ".Length..]);
        Assert.False(json.RootElement.TryGetProperty("error", out var error), error.ToString());
        return json.RootElement.GetProperty("choices")[0].GetProperty("text").GetString()!;
    }
}
