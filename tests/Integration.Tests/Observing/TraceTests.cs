using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using LlamaCluster.Integration.Tests.Up;
using Xunit.Abstractions;

namespace LlamaCluster.Integration.Tests.Observing;

/// <summary>One request, traced through all processes of a cluster to a receiver of OTLP.</summary>
public sealed class TraceTests(ITestOutputHelper output)
{
    const int Tokens = 160;

    /// <summary>The least part of a span that its parts make up.</summary>
    const double Whole = 0.95;

    [Fact]
    public async Task A_request_through_three_workers_is_one_trace_of_four_processes()
    {
        await using var receiver = await TraceReceiver.StartAsync();
        var environment = new Dictionary<string, string?> { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.Address, ["OTEL_BSP_SCHEDULE_DELAY"] = "200" };
        await using var coordinator = CliProcess.StartWith(
            environment, "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0",
            "--workers", "3", "--tensor-parallel", "1", "--no-speculation", "--log-format", "json");
        var addresses = (await coordinator.ErrorLineAsync("listening api=")).Split(' ')
            .Where(part => part.Contains('=')).ToDictionary(part => part.Split('=')[0], part => part.Split('=')[1]);
        using var http = new HttpClient { BaseAddress = new Uri(addresses["api"]), Timeout = CliProcess.Deadline };
        var workers = Enumerable.Range(1, 3).Select(number => CliProcess.StartWith(
            environment, "worker", "--coordinator", addresses["grpc"], "--name", $"worker-{number}", "--threads", "1", "--memory", "1GB")).ToArray();
        try
        {
            await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);
            await AskAsync(http, new string('0', 31) + "1", tokens: 8);   // code is compiled once; what is measured comes after
            var trace = ActivityTraceId.CreateRandom().ToHexString();
            await AskAsync(http, trace, Tokens);

            // Every fourth of the first tokens, and each 32nd, on each of three stages.
            var spans = await receiver.WaitAsync(trace, all =>
                all.Count(span => span.Name.StartsWith("stage ", StringComparison.Ordinal)) >= 3 * (1 + 4 + Tokens / 32 - 1) && all.Any(IsRequest));
            Check(spans);
        }
        finally
        {
            foreach (var worker in workers) await worker.DisposeAsync();
        }
    }

    [Fact]
    public async Task Log_lines_are_JSON_where_that_is_asked_for()
    {
        await using var worker = CliProcess.Start(
            "worker", "--coordinator", "http://127.0.0.1:1", "--threads", "1", "--memory", "1GB", "--name", "a \"quoted\" one", "--log-format", "json");
        var line = JsonDocument.Parse(await worker.ErrorLineAsync("Not registered")).RootElement;
        Assert.Equal(("warning", "worker a \"quoted\" one"), (line.GetProperty("level").GetString(), line.GetProperty("process").GetString()));
        Assert.Contains("trying again", line.GetProperty("message").GetString());
        Assert.True(line.GetProperty("time").GetDateTimeOffset() <= DateTimeOffset.UtcNow);
        await Signals.SendAsync("TERM", worker.Id);
        Assert.Equal(0, await worker.ExitAsync());
    }

    void Check(IReadOnlyList<ReceivedSpan> spans)
    {
        foreach (var span in spans.OrderBy(span => span.Begun))
            output.WriteLine($"{span.Begun:ss.ffffff} {span.Milliseconds,9:0.000} ms  {span.Process}: {span.Name}");
        Assert.Equal(4, spans.Select(span => span.Process).Distinct().Count());
        var request = spans.Single(IsRequest);
        var server = spans.Single(span => span.Id == request.Parent);
        Assert.Equal("POST /v1/completions", server.Name);
        Assert.Equal(("text_completion", "llamacluster", $"{Tokens}", "length"), (
            request.Attributes["gen_ai.operation.name"], request.Attributes["gen_ai.provider.name"], request.Attributes["gen_ai.usage.output_tokens"],
            request.Attributes["gen_ai.response.finish_reasons"]));

        // The request's parts, of the coordinator, are nearly all of its time.
        string[] names = ["encode", "queue", "prefill", "decode"];
        var parts = spans.Where(span => span.Parent == request.Id && names.Contains(span.Name)).ToDictionary(span => span.Name);
        Assert.Equal(names.Order(), parts.Keys.Order());
        Assert.InRange(parts.Values.Sum(part => part.Milliseconds) / request.Milliseconds, Whole, 2 - Whole);

        // Each stage's steps are in the same trace, within the request, and made of their parts.
        var stages = spans.Where(span => span.Name.StartsWith("stage ", StringComparison.Ordinal)).ToList();
        Assert.All(stages, stage => Assert.Equal(request.Id, stage.Parent));
        for (var stage = 0; stage < 3; stage++)
        {
            var own = stages.Where(span => span.Name == $"stage {stage}").ToList();
            Assert.Single(own.Select(span => span.Process).Distinct());
            Assert.Contains(own, span => span.Attributes["llamacluster.phase"] == "prefill");
            Assert.Contains(own, span => span.Attributes["llamacluster.phase"] == "decode");
        }
        foreach (var stage in stages)
        {
            var inside = spans.Where(span => span.Parent == stage.Id).ToList();
            Assert.Contains(inside, part => part.Name == "compute");
            Assert.InRange(inside.Sum(part => part.Milliseconds), Whole * stage.Milliseconds - 0.01, stage.Milliseconds / Whole + 0.01);
            Assert.InRange(stage.Begun, request.Begun.AddMilliseconds(-1), request.Ended);
            Assert.InRange(stage.Ended, request.Begun, request.Ended.AddMilliseconds(1));
        }
    }

    static bool IsRequest(ReceivedSpan span) => span.Attributes.ContainsKey("gen_ai.operation.name");

    static async Task AskAsync(HttpClient http, string trace, int tokens)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent(
                $$"""{"prompt":"A cluster","max_tokens":{{tokens}},"temperature":0,"ignore_eos":true}""", Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom().ToHexString()}-01");
        using var answer = await http.SendAsync(request);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }
}
