using System.Diagnostics;
using System.Globalization;
using System.Text;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// What the workers compute when one of three stages is killed under a long stream and a spare takes its place, as a part of what the whole prompt took.
/// LLAMACLUSTER_RECOVERY_MODEL names another model than the demo one, LLAMACLUSTER_RECOVERY_PROMPT another length of the prompt. docs/benchmarks.md has what a
/// larger model takes; with the demo model, code that is compiled costs more than what it computes, so the bound is wide.
/// </summary>
public sealed class RecoveryWorkTests(ITestOutputHelper output)
{
    const int Stages = 3;
    const int Kill = 4;       // events before it
    const double Bound = 20;

    static readonly TimeSpan Deadline = TimeSpan.FromHours(1);
    static readonly string? Path = Environment.GetEnvironmentVariable("LLAMACLUSTER_RECOVERY_MODEL");
    static readonly int Prompt = int.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_RECOVERY_PROMPT") ?? "400", CultureInfo.InvariantCulture);

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(2, true)]
    public async Task What_is_computed_again(int lost, bool hasJournals)
    {
        await using var cluster = await ChaosCluster.StartAsync(
            Stages + 1, Stages, ranks: 1, Path, kvTokens: Prompt + 512, threads: 2, hasJournals: hasJournals);
        await cluster.WaitAsync(status => status.IsReady && status.Workers is { Serving: Stages, Spare: 1 }, "three stages and a spare");
        var sent = Moment.Of(cluster);
        var ids = string.Join(',', Enumerable.Range(0, Prompt).Select(i => 300 + 7 * i % 1500));
        using var deadline = new CancellationTokenSource(Deadline);
        var body = $$"""{"prompt":[{{ids}}],"max_tokens":24,"temperature":0.9,"seed":7,"ignore_eos":true,"stream":true}""";
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        using var answer = await cluster.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
        using var events = new StreamReader(await answer.Content.ReadAsStreamAsync(deadline.Token));
        await NextAsync(events, deadline.Token);
        var whole = Moment.Of(cluster).Since(sent);
        for (var i = 1; i < Kill; i++) await NextAsync(events, deadline.Token);
        await cluster.KillAsync(cluster.Host.Status.Value.Shards[lost].WorkerName);
        List<Moment> moments = [Moment.Of(cluster)];
        while (await NextAsync(events, deadline.Token)) moments.Add(Moment.Of(cluster));
        var next = Enumerable.Range(1, moments.Count - 1).MaxBy(i => Stopwatch.GetElapsedTime(moments[i - 1].At, moments[i].At));
        var again = moments[next].Since(moments[0]);
        output.WriteLine(
            $"stage {lost} lost{(hasJournals ? ", with journals" : "")}: {again.Processor:0.00} s of processors and {again.Time:0.00} s until the next token, "
            + $"after {whole.Processor:0.00} s and {whole.Time:0.00} s for the prompt of {Prompt}: "
            + $"{again.Processor / whole.Processor:0.00} and {again.Time / whole.Time:0.00}");
        Assert.InRange(again.Processor / whole.Processor, 0, Bound);
    }

    /// <returns>False at the end.</returns>
    static async Task<bool> NextAsync(StreamReader events, CancellationToken cancellation)
    {
        while (await events.ReadLineAsync(cancellation) is { } line)
        {
            Assert.DoesNotContain("\"error\"", line);
            if (line.StartsWith("data: {", StringComparison.Ordinal)) return true;
        }
        return false;
    }

    /// <param name="Used">Seconds of processors that each living worker has used, by its process.</param>
    sealed record Moment(long At, IReadOnlyDictionary<int, double> Used)
    {
        const double TicksPerSecond = 100;   // USER_HZ on every Linux that .NET runs on

        public static Moment Of(ChaosCluster cluster) =>
            new(Stopwatch.GetTimestamp(), cluster.Workers.ToDictionary(worker => worker.Id, worker => UsedBy(worker.Id)));

        /// <summary>Of the workers that live now.</summary>
        public (double Processor, double Time) Since(Moment before) =>
            (Used.Sum(used => used.Value - before.Used.GetValueOrDefault(used.Key)), Stopwatch.GetElapsedTime(before.At, At).TotalSeconds);

        static double UsedBy(int process)
        {
            var stat = File.ReadAllText($"/proc/{process}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');   // from the third field on: see proc_pid_stat(5)
            return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
    }
}
