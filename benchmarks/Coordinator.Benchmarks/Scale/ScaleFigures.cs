using System.Diagnostics;
using System.Globalization;
using LlamaCluster.Planning;

namespace LlamaCluster.Coordinator.Benchmarks.Scale;

/// <summary>What the coordinator takes for a cluster as large as is planned for (docs/scaling.md), printed line by line.</summary>
static class ScaleFigures
{
    const int Steps = 400;

    /// <summary>Steps that prompts may take, at most.</summary>
    const int MostPromptSteps = 8000;

    const string Registry = "registry";
    const string Scheduler = "scheduler";
    const string Planner = "planner";

    public static IReadOnlyList<string> Parts { get; } = [Registry, Scheduler, Planner];

    /// <param name="part">One of <see cref="Parts"/>; null: all.</param>
    public static void Print(string? part, int workers, int sequences, TextWriter output)
    {
        var cases = PlannerScale.Cases(workers);
        if (part is null or Registry) PrintRegistry(workers, cases[0].Request, output);
        if (part is null or Scheduler) PrintScheduler(sequences, output);
        if (part is null or Planner)
            foreach (var (name, request) in cases) PrintPlan(workers, name, request, output);
    }

    static void PrintScheduler(int sequences, TextWriter output)
    {
        PrintSteps(
            "128 run, the others wait, each of a client of its own",
            new SchedulerScale(sequences, promptTokens: 1000, clients: sequences, running: 128, blocks: sequences * 100, stages: 8), output);
        PrintSteps(
            $"{sequences} run, 8 stages",
            new SchedulerScale(sequences, promptTokens: 3000, clients: 64, sequences, blocks: sequences * 220, stages: 8), output);
        PrintSteps(
            $"{sequences} run, 1 stage",
            new SchedulerScale(sequences, promptTokens: 1000, clients: 64, sequences, blocks: sequences * 100, stages: 1), output);
    }

    static void PrintRegistry(int workers, PlanRequest request, TextWriter output)
    {
        using var registry = new RegistryScale(request.Workers);
        registry.Beat();
        output.WriteLine(
            Text($"registry, {workers} workers: {Processor(registry.Beat).TotalMicroseconds / workers:0.0} us a heartbeat, ")
            + Text($"{Processor(() => registry.List()).TotalMilliseconds:0.0} ms to list them"));
    }

    static void PrintPlan(int workers, string name, PlanRequest request, TextWriter output)
    {
        PlanOutcome outcome = null!;
        var begun = Stopwatch.GetTimestamp();
        var processor = Processor(() => outcome = ClusterPlanner.Plan(request));
        var what = outcome is PlanOutcome.Planned planned ? planned.Pipeline.Choice : ((PlanOutcome.Refused)outcome).Reason;
        output.WriteLine(Text(
            $"plan, {workers} workers, {name}: {Stopwatch.GetElapsedTime(begun).TotalSeconds:0.00} s, {processor.TotalSeconds:0.00} s of processor ({what})"));
    }

    static void PrintSteps(string name, SchedulerScale scale, TextWriter output)
    {
        output.WriteLine(Text($"scheduler, {name}: {Processor(scale.AddAll).TotalSeconds:0.00} s of processor to add them"));
        PrintTimes("prompts", scale, MostPromptSteps, () => scale.Scheduler.WaitingCount > 0, output);
        PrintTimes("then", scale, Steps, () => true, output);
        var memory = GC.GetTotalMemory(forceFullCollection: true);
        output.WriteLine(Text(
            $"  running {scale.Scheduler.RunningCount}, waiting {scale.Scheduler.WaitingCount}, preempted {scale.Scheduler.Preemptions}; {memory / 1e6:0} MB"));
        GC.KeepAlive(scale);
    }

    static void PrintTimes(string what, SchedulerScale scale, int most, Func<bool> goesOn, TextWriter output)
    {
        List<double> times = [];   // of each step, in milliseconds
        var processor = Processor(() =>
        {
            while (times.Count < most && goesOn())
            {
                var begun = Stopwatch.GetTimestamp();
                scale.Step();
                times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            }
        });
        times.Sort();
        if (times.Count > 0)
            output.WriteLine(
                Text($"  {what}: {times.Count} steps, {processor.TotalMilliseconds / times.Count:0.00} ms of processor each, ")
                + Text($"half within {times[times.Count / 2]:0.00} ms, the quickest {times[0]:0.00} ms"));
    }

    /// <summary>Processor time, which other programs do not add to.</summary>
    static TimeSpan Processor(Action work)
    {
        var before = Environment.CpuUsage.TotalTime;
        work();
        return Environment.CpuUsage.TotalTime - before;
    }

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
