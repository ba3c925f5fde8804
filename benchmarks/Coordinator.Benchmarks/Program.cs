using BenchmarkDotNet.Running;
using LlamaCluster.Coordinator.Benchmarks;
using LlamaCluster.Coordinator.Benchmarks.Replay;
using LlamaCluster.Coordinator.Benchmarks.Scale;

// --check-budgets: each benchmark's operation a few times; exit 1 if one takes longer than time-budgets.json allows.
if (args is ["--check-budgets"]) return TimeBudgets.Check(Console.Out) ? 0 : 1;
// --scale [registry|scheduler|planner]: what these take for 1,000 workers and 10,000 sequences; all of them where none is named.
if (args is ["--scale", .. { Length: <= 1 } parts] && parts.All(ScaleFigures.Parts.Contains))
{
    ScaleFigures.Print(parts.FirstOrDefault(), workers: 1000, sequences: 10_000, Console.Out);
    return 0;
}
// --replay [KEY=VALUE ...]: a made-up trace on a simulated cluster, in virtual time (docs/scaling.md).
if (args is ["--replay", .. var words])
{
    try
    {
        TraceReplay.Run(ReplayOptions.Parse(words)).Print(Console.Out);
        return 0;
    }
    catch (ArgumentException e)
    {
        Console.Error.WriteLine(e.Message);
        return 1;
    }
}
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
return 0;
