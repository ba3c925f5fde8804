namespace LlamaCluster.Kernels.Tests;

/// <summary>Run by itself (not by the test host) this assembly says what its process computes; see <see cref="WidthSwitchTests"/>.</summary>
static class Program
{
    static void Main() => Console.WriteLine(WidthReport.OfThisProcess());
}
