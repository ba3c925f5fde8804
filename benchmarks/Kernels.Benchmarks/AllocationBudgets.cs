using System.Reflection;
using System.Text.Json;
using BenchmarkDotNet.Attributes;

namespace LlamaCluster.Kernels.Benchmarks;

/// <summary>What each benchmark may allocate on the managed heap for one operation, committed in allocation-budgets.json.</summary>
static class AllocationBudgets
{
    /// <summary>Checks every benchmark with the first value of each of its parameters; one line each.</summary>
    /// <returns>Whether all keep their budgets.</returns>
    public static bool Check(TextWriter output)
    {
        var path = Path.Combine(AppContext.BaseDirectory, "allocation-budgets.json");
        var budgets = JsonSerializer.Deserialize<Dictionary<string, long>>(File.ReadAllText(path))!;
        var measured = typeof(AllocationBudgets).Assembly.GetTypes().SelectMany(MeasureAll).ToDictionary();
        foreach (var (name, bytes) in measured)
            output.WriteLine(budgets.TryGetValue(name, out var budget) ? $"{name}: {bytes} bytes, budget {budget}" : $"{name}: no budget in {path}");
        foreach (var name in budgets.Keys.Except(measured.Keys)) output.WriteLine($"{name}: has a budget but is no benchmark");
        return measured.All(m => budgets.TryGetValue(m.Key, out var budget) && m.Value <= budget) && budgets.Keys.All(measured.ContainsKey);
    }

    static IEnumerable<KeyValuePair<string, long>> MeasureAll(Type type)
    {
        var methods = type.GetMethods().Where(method => method.GetCustomAttribute<BenchmarkAttribute>() is not null).ToArray();
        if (methods.Length == 0) yield break;
        var benchmark = Activator.CreateInstance(type)!;
        foreach (var property in type.GetProperties())
            if (property.GetCustomAttribute<ParamsAttribute>() is { } values) property.SetValue(benchmark, values.Values[0]);
        Call<GlobalSetupAttribute>(benchmark);
        foreach (var method in methods) yield return new($"{type.Name}.{method.Name}", Measure(method.CreateDelegate<Action>(benchmark)));
        Call<GlobalCleanupAttribute>(benchmark);
    }

    /// <summary>The first call may compile and set up; the second is measured.</summary>
    static long Measure(Action operation)
    {
        operation();
        var before = GC.GetTotalAllocatedBytes(precise: true);
        operation();
        return GC.GetTotalAllocatedBytes(precise: true) - before;
    }

    static void Call<TAttribute>(object benchmark) where TAttribute : Attribute
    {
        foreach (var method in benchmark.GetType().GetMethods())
            if (method.GetCustomAttribute<TAttribute>() is not null) method.Invoke(benchmark, null);
    }
}
