using System.Diagnostics;

namespace LlamaCluster.Kernels.Tests;

public sealed class ProcessorsTests
{
    [Fact]
    public void A_process_that_is_started_stays_on_the_processors_and_the_caller_is_free()
    {
        if (!OperatingSystem.IsLinux()) return;
        var allowed = Processors.Allowed();
        var status = "";
        var held = Processors.RunOn([allowed[^1]], () =>
        {
            using var process = Process.Start(new ProcessStartInfo("cat", "/proc/self/status") { RedirectStandardOutput = true })!;
            status = process.StandardOutput.ReadToEnd();
        });

        Assert.True(held);
        Assert.Matches($@"Cpus_allowed_list:\s+{allowed[^1]}\n", status);
        Assert.Equal(allowed, Processors.Allowed());
    }

    [Fact]
    public void What_is_thrown_reaches_the_caller() =>
        Assert.Throws<InvalidDataException>(() => Processors.RunOn(Processors.Allowed(), () => throw new InvalidDataException()));

    [Fact]
    public void Processors_that_are_not_there_leave_it_free()
    {
        var ran = false;

        Assert.False(Processors.RunOn([1 << 20], () => ran = true));
        Assert.True(ran);
    }
}
