using BenchmarkDotNet.Running;
using LlamaCluster.Kernels.Benchmarks;

// --check-budgets: each benchmark's operation once or twice, without measuring time; exit 1 if one allocates more than allocation-budgets.json allows.
if (args is ["--check-budgets"]) return AllocationBudgets.Check(Console.Out) ? 0 : 1;
// --dot-peak: products of bytes a second, of the instructions alone and of the matrix products.
if (args is ["--dot-peak"])
{
    DotPeak.Print(Console.Out);
    return 0;
}
// --kv-reads: how fast a long context's keys and values are read, as a part of plain reads.
if (args is ["--kv-reads"])
{
    KvReads.Print(Console.Out);
    return 0;
}
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
return 0;
