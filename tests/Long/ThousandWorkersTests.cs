using System.Globalization;
using System.Net;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using Xunit.Abstractions;

namespace LlamaCluster.Long.Tests;

/// <summary>
/// What one coordinator takes when it has a thousand workers in its plan and ten thousand sequences that run. It is the real program, with a real connection to
/// each worker; workers are stand-ins. By hand, on a machine with nothing else to do:
/// <c>dotnet test tests/Long -c Release --filter ThousandWorkers --logger "console;verbosity=detailed"</c>.
/// </summary>
public sealed class ThousandWorkersTests(ITestOutputHelper output)
{
    /// <summary>16 stages, the last one of 40 ranks.</summary>
    const int Workers = 1000;
    const int Ranks = 64;
    const int Requests = 100;
    const int PromptsOfARequest = 100;
    const int Sequences = Requests * PromptsOfARequest;

    /// <summary>Requests whose bodies are on their way: the API holds so many bytes and no more.</summary>
    const int AskedAtATime = 2;

    /// <summary>Of each prompt; all but the last ones are the same in all, so that they are computed once and yet held ten thousand times.</summary>
    const int PromptTokens = 500;

    const int OwnTokens = 20;

    static readonly SyntheticModel Model = new()
    {
        Config = SyntheticModel.Small.Config with
        {
            LayerCount = (Workers + Ranks - 1) / Ranks,
            HiddenSize = 512,
            FfnSize = 2048,
            HeadCount = Ranks,
            KvHeadCount = Ranks,
            HeadSize = 8,
            RopeDimensionCount = 8,
            VocabularySize = 2048,
            ContextLength = 8192,
        },
        Type = Primitives.TensorType.F16,
    };

    [Fact]
    public async Task A_coordinator_holds_a_thousand_workers_and_ten_thousand_sequences()
    {
        using var folder = new TempFolder();
        await using var workers = await StandInWorkers.StartAsync(Workers);
        await using var coordinator = CliProcess.Start(
            "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0", "--model", Model.WriteGguf(folder.File("deep.gguf")),
            "--workers", $"{Workers}", "--min-workers", $"{Workers}", "--tensor-parallel", $"{Ranks}",
            "--max-running", $"{Sequences}", "--max-step-rows", $"{2 * Sequences}",
            "--max-prompt-rows", "1024", "--kv-tokens", $"{Sequences * 400}", "--max-waiting", $"{Sequences}", "--no-speculation");
        var addresses = (await coordinator.ErrorLineAsync("listening api=")).Split(' ');
        using var http = new HttpClient { BaseAddress = new Uri(addresses[1]["api=".Length..]), Timeout = TimeSpan.FromMinutes(10) };

        var begun = TimeProvider.System.GetTimestamp();
        await workers.JoinAsync(new Uri(addresses[2]["grpc=".Length..]));
        output.WriteLine(Text($"{Workers} workers have registered after {Since(begun).TotalSeconds:0.0} s"));
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);
        output.WriteLine(Text($"ready after {Since(begun).TotalSeconds:0.0} s; {Memory(coordinator)}"));
        await LookAsync(http, coordinator, "nothing runs");

        begun = TimeProvider.System.GetTimestamp();
        List<Task> answers = [];
        using var enough = new CancellationTokenSource();
        using var places = new SemaphoreSlim(AskedAtATime);
        for (var i = 0; i < Requests; i++) answers.Add(AskAsync(http, i, places, enough.Token));
        var all = RunAsync(http, Sequences);
        var first = await Task.WhenAny([all, .. answers]);
        if (first.IsFaulted) output.WriteLine(coordinator.Log);
        await first;
        await all;
        output.WriteLine(Text($"{Sequences} sequences run after {Since(begun).TotalSeconds:0} s; {Memory(coordinator)}"));
        await LookAsync(http, coordinator, "all run");

        var peak = Kilobytes(coordinator, "VmHWM");
        Assert.True(peak < 2_000_000, $"the coordinator took {peak / 1000} MB");
        await enough.CancelAsync();
        await Task.WhenAll(answers);
    }

    /// <summary>A request of many prompts, whose stream is read until the end of the test.</summary>
    static async Task AskAsync(HttpClient http, int number, SemaphoreSlim places, CancellationToken enough)
    {
        await places.WaitAsync(enough);
        var prompts = Enumerable.Range(0, PromptsOfARequest)
            .Select(i => Enumerable.Repeat(50, PromptTokens - OwnTokens).Concat(Own(number * PromptsOfARequest + i)));
        var body = JsonSerializer.Serialize(new { prompt = prompts, max_tokens = 4000, stream = true, ignore_eos = true });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        try
        {
            using var answer = await SendAsync(http, request, places, enough);
            Assert.True(answer.IsSuccessStatusCode, await BeginningAsync(answer));
            await using var stream = await answer.Content.ReadAsStreamAsync(enough);
            var buffer = new byte[1 << 16];
            int read, last = 0;
            while ((read = await stream.ReadAsync(buffer, enough)) > 0) last = read;
            Assert.Fail($"an answer ended: {Encoding.UTF8.GetString(buffer.AsSpan(0, last))}");
        }
        catch (OperationCanceledException) when (enough.IsCancellationRequested)
        {
            // the end of the test
        }
    }

    static async Task<HttpResponseMessage> SendAsync(HttpClient http, HttpRequestMessage request, SemaphoreSlim places, CancellationToken enough)
    {
        try
        {
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, enough);
        }
        finally
        {
            places.Release();
        }
    }

    static async Task<string> BeginningAsync(HttpResponseMessage answer) => answer.IsSuccessStatusCode ? "" : await answer.Content.ReadAsStringAsync();

    static IEnumerable<int> Own(int sequence) => Enumerable.Range(0, OwnTokens).Select(i => 3 + ((sequence >> (i % 16)) & 1));

    async Task LookAsync(HttpClient http, CliProcess coordinator, string when)
    {
        foreach (var path in new[] { "/metrics", "/v1/cluster" })
        {
            List<double> times = [];   // milliseconds
            var bytes = 0;
            for (var i = 0; i < 9; i++)
            {
                var begun = TimeProvider.System.GetTimestamp();
                bytes = (await http.GetByteArrayAsync(path)).Length;
                times.Add(Since(begun).TotalMilliseconds);
            }
            times.Sort();
            output.WriteLine(Text($"{when}: {path} has {bytes / 1000} kB, in {times[0]:0} ms at best, {times[4]:0} ms as a rule, {times[^1]:0} ms at worst"));
        }
        using var cluster = JsonDocument.Parse(await http.GetStringAsync("/v1/cluster"));
        var replica = cluster.RootElement.GetProperty("replicas")[0];
        output.WriteLine($"{when}: load {replica.GetProperty("load")}, rates {replica.GetProperty("rates")}; {Memory(coordinator)}");
    }

    /// <summary>Completes when so many sequences run, by what the coordinator tells of itself.</summary>
    static async Task RunAsync(HttpClient http, int sequences)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        await using var stream = await http.GetStreamAsync("/v1/cluster/events", deadline.Token);
        await foreach (var told in SseParser.Create(stream).EnumerateAsync(deadline.Token))
        {
            using var cluster = JsonDocument.Parse(told.Data);
            if (cluster.RootElement.GetProperty("replicas")[0].GetProperty("load").GetProperty("running").GetInt32() >= sequences) return;
        }
        Assert.Fail("the stream of events ended");
    }

    static string Memory(CliProcess process) =>
        Text($"the coordinator has {Kilobytes(process, "VmRSS") / 1000} MB, {Kilobytes(process, "VmHWM") / 1000} MB at most");

    static long Kilobytes(CliProcess process, string what) =>
        long.Parse(
            File.ReadLines($"/proc/{process.Id}/status").First(line => line.StartsWith(what, StringComparison.Ordinal))
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
            CultureInfo.InvariantCulture);

    static TimeSpan Since(long begun) => TimeProvider.System.GetElapsedTime(begun);

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
