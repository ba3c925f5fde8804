using BenchmarkDotNet.Running;
using LlamaCluster.Coordinator.Benchmarks;

// --check-budgets: each benchmark's operation a few times; exit 1 if one takes longer than time-budgets.json allows.
if (args is ["--check-budgets"]) return TimeBudgets.Check(Console.Out) ? 0 : 1;
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
return 0;
