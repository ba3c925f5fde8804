using System.Diagnostics;
using System.Reflection;
using System.Text.Json;
using BenchmarkDotNet.Attributes;

namespace LlamaCluster.Coordinator.Benchmarks;

/// <summary>
/// How long each benchmark may take for one operation, in microseconds, committed in time-budgets.json: bounds that the design sets, far from what is measured.
/// </summary>
static class TimeBudgets
{
    const int WarmUps = 10;
    const int Rounds = 15;

    /// <summary>Checks the median of a few rounds; one line each.</summary>
    /// <returns>Whether all keep their budgets.</returns>
    public static bool Check(TextWriter output)
    {
        var path = Path.Combine(AppContext.BaseDirectory, "time-budgets.json");
        var budgets = JsonSerializer.Deserialize<Dictionary<string, double>>(File.ReadAllText(path))!;
        var measured = typeof(TimeBudgets).Assembly.GetTypes().SelectMany(MeasureAll).ToDictionary();
        foreach (var (name, microseconds) in measured)
            output.WriteLine(budgets.TryGetValue(name, out var budget) ? $"{name}: {microseconds:F0} us, budget {budget:F0}" : $"{name}: no budget in {path}");
        foreach (var name in budgets.Keys.Except(measured.Keys)) output.WriteLine($"{name}: has a budget but is no benchmark");
        return measured.All(m => budgets.TryGetValue(m.Key, out var budget) && m.Value <= budget) && budgets.Keys.All(measured.ContainsKey);
    }

    static IEnumerable<KeyValuePair<string, double>> MeasureAll(Type type)
    {
        foreach (var method in type.GetMethods())
            if (method.GetCustomAttribute<BenchmarkAttribute>() is { } benchmark)
                yield return new(
                    $"{type.Name}.{method.Name}", Measure(method.CreateDelegate<Func<Task>>(Activator.CreateInstance(type)), benchmark.OperationsPerInvoke));
    }

    static double Measure(Func<Task> benchmark, int operations)
    {
        for (var i = 0; i < WarmUps; i++) benchmark().GetAwaiter().GetResult();
        var times = new double[Rounds];
        for (var i = 0; i < Rounds; i++)
        {
            var begun = Stopwatch.GetTimestamp();
            benchmark().GetAwaiter().GetResult();
            times[i] = Stopwatch.GetElapsedTime(begun).TotalMicroseconds / operations;
        }
        return times.Order().ElementAt(Rounds / 2);
    }
}
