using LlamaCluster.Cli.Doctor;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Doctor;

/// <summary>What the doctor says of machines, by the files in which their kernels tell of them.</summary>
public sealed class MachineChecksTests : IDisposable
{
    readonly TempFolder _root = new();

    public MachineChecksTests()
    {
        Write("proc/meminfo", "MemTotal:       33554432 kB\nMemAvailable:   30000000 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB");
        Write("proc/self/cgroup", "0::/system.slice/worker.service");
        Write("proc/self/limits",
            "Limit                     Soft Limit           Hard Limit           Units\n"
            + "Max open files            1024                 524288               files");
        Write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
        Write("sys/devices/system/node/online", "0");
        Write("sys/fs/cgroup/system.slice/worker.service/memory.max", "max");
    }

    public void Dispose() => _root.Dispose();

    [Fact]
    public void A_sound_machine_is_ok_throughout()
    {
        var found = Check();
        Assert.All(found, one => Assert.Equal((Verdict.Ok, ""), (one.Verdict, one.Advice)));
        Assert.Equal(
            ["memory", "swap", "container memory", "processors", "vectors", "huge pages", "NUMA", "open files", "weights cache"],
            found.Select(one => one.Check));
    }

    [Theory]
    [InlineData("memory", Verdict.Fail, "proc/meminfo", "MemTotal: 33554432 kB\nMemAvailable: 100000 kB", "102 MB of 34.4 GB are free")]
    [InlineData("memory", Verdict.Warn, "proc/meminfo", "MemTotal: 33554432 kB\nMemAvailable: 2000000 kB", "2.05 GB of 34.4 GB")]
    [InlineData("swap", Verdict.Warn, "proc/meminfo", "SwapTotal: 4000000 kB\nSwapFree: 1000000 kB", "3.07 GB of 4.10 GB are in use")]
    [InlineData("container memory", Verdict.Warn, "sys/fs/cgroup/system.slice/worker.service/memory.max", "8000000000", "limited to 8.00 GB")]
    [InlineData("container memory", Verdict.Warn, "sys/fs/cgroup/system.slice/memory.max", "4000000000", "limited to 4.00 GB")]
    [InlineData("processors", Verdict.Warn, "sys/fs/cgroup/cpu.max", "250000 100000", "for 2.5 of their time")]
    [InlineData("huge pages", Verdict.Warn, "sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]", "switched off")]
    [InlineData("NUMA", Verdict.Warn, "sys/devices/system/node/online", "0-1", "nodes 0-1")]
    [InlineData("clock rate", Verdict.Warn, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave", "powersave")]
    [InlineData("open files", Verdict.Warn, "proc/self/limits", "Max open files  1024  1024  files", "at most 1024")]
    internal void What_is_not_right_is_named_with_what_to_change(string check, Verdict verdict, string file, string text, string finding)
    {
        Write(file, text);
        var found = Check().Single(one => one.Check == check);
        Assert.Equal(verdict, found.Verdict);
        Assert.Contains(finding, found.Finding);
        Assert.NotEqual("", found.Advice);
    }

    [Fact]
    public void A_worker_in_a_container_is_told_how_much_memory_to_ask_for()
    {
        Write("sys/fs/cgroup/system.slice/worker.service/memory.max", "8000000000");
        Assert.Contains("--memory 6.8GB", Check().Single(one => one.Check == "container memory").Advice);
    }

    [Theory]
    [InlineData("vector128", null, "vectors", Verdict.Warn)]
    [InlineData("avx2", null, "weights cache", Verdict.Fail)]
    [InlineData("avx2", 1_000_000L, "weights cache", Verdict.Warn)]
    internal void The_process_is_looked_at_too(string vectors, long? free, string check, Verdict verdict)
        => Assert.Equal(verdict, Check(new ProcessFacts(8, 8, vectors, "/cache", free)).Single(one => one.Check == check).Verdict);

    List<Diagnosis> Check(ProcessFacts? process = null)
        => [.. new MachineChecks(new MachineFiles(_root.Path), process ?? new ProcessFacts(8, 8, "avx512", "/cache", 1L << 40)).All()];

    void Write(string file, string text)
    {
        var path = Path.Combine(_root.Path, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text + "\n");
    }
}
