using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>
/// The coordinator's own code against simulated workers, network and time: thousands of schedules that seeds choose, as many as a minute has time for.
/// LLAMACLUSTER_SEED runs one seed and prints what happens in it. LLAMACLUSTER_SCHEDULES says how many seeds are run, however long that takes.
/// </summary>
public sealed class SimulationTests(ITestOutputHelper output)
{
    const ulong Schedules = 2000;
    const int ClaimSchedules = 100;

    static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    static readonly ulong? OnlySeed = Number("LLAMACLUSTER_SEED");

    static readonly ulong? Count = Number("LLAMACLUSTER_SCHEDULES");

    [Fact]
    public void Nothing_is_lost_whatever_happens_in_whatever_order()
    {
        ConcurrentQueue<ScheduleReport> reports = [];
        var watch = Stopwatch.StartNew();
        if (OnlySeed is { } one) reports.Enqueue(Schedule.Run(one, output.WriteLine));
        else Parallel.For(1, (long)(Count ?? Schedules) + 1, (seed, all) =>
        {
            reports.Enqueue(Schedule.Run((ulong)seed));
            if (Count is null && watch.Elapsed > Longest) all.Stop();
        });

        Describe([.. reports], watch.Elapsed);
        var wrong = reports.Where(report => report.Problems.Count > 0).OrderBy(report => report.Seed).Take(10);
        Assert.True(!wrong.Any(), string.Join("\n", wrong.Select(report => $"LLAMACLUSTER_SEED={report.Seed}: {string.Join("\n  ", report.Problems)}")));
    }

    [Fact]
    public void A_seed_gives_the_same_schedule_again()
    {
        for (ulong seed = 1; seed <= 20; seed++) Assert.Equal(Fingerprint(seed), Fingerprint(seed));

        static (ulong, long, TimeSpan, ScheduleCounts) Fingerprint(ulong seed)
        {
            var report = Schedule.Run(seed);
            return (report.Trace, report.Events, report.Time, report.Counts);
        }
    }

    /// <summary>Faults come where they can be seen: if workers say that they keep more than they do, many schedules show it.</summary>
    [Fact]
    public void Wrong_claims_of_kept_KV_are_found_out()
    {
        var found = 0;
        Parallel.For(1, ClaimSchedules + 1, seed =>
        {
            if (Schedule.Run((ulong)seed, claim: KvClaim.TooMuch).Problems.Count > 0) Interlocked.Increment(ref found);
        });
        output.WriteLine($"{found} of {ClaimSchedules} schedules show it");
        Assert.InRange(found, ClaimSchedules / 20, ClaimSchedules);
    }

    void Describe(ScheduleReport[] reports, TimeSpan took)
    {
        int Sum(Func<ScheduleCounts, int> of) => reports.Sum(report => of(report.Counts));
        var (hours, events) = (reports.Sum(report => report.Time.TotalHours), reports.Sum(report => report.Events));
        output.WriteLine($"{reports.Length} schedules in {took.TotalSeconds:0.0} s: {hours:0.0} simulated hours, {events} events");
        output.WriteLine($"{Sum(of => of.Requests)} requests, {Sum(of => (int)of.Views)} views");
        output.WriteLine($"{Sum(of => of.Kills)} workers killed, {Sum(of => of.Freezes)} frozen, {Sum(of => of.Leaves)} dismissed");
        output.WriteLine($"{Sum(of => of.Cuts)} links cut, {Sum(of => of.Restarts)} coordinators killed or frozen");
        var (kept, filled, computed) = reports.Aggregate(default(SimPositions), (sum, report) => sum + report.Counts.Positions);
        output.WriteLine($"of positions known in an earlier view {kept} were kept, {filled} filled by some stages, {computed} computed by all");
        output.WriteLine($"{Sum(of => of.Replayed)} rows came from journals");
    }

    static ulong? Number(string variable) =>
        ulong.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var value) ? value : null;
}
