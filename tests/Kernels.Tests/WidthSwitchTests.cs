using System.Diagnostics;

namespace LlamaCluster.Kernels.Tests;

/// <summary>
/// With parts of the processor switched off (settings of the runtime, in a process of their own) a narrower width is chosen, and gives the same bits.
/// </summary>
public sealed class WidthSwitchTests
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    [Fact]
    public Task Nothing_off() => Expect(KernelWidths.Chosen);

    [Fact]
    public Task Without_avx512() => Expect(Widest(KernelWidth.AvxVnni), "EnableAVX512");

    [Fact]
    public Task Without_avx512_and_vnni() => Expect(Widest(KernelWidth.Avx2), "EnableAVX512", "EnableAVXVNNI");

    [Fact]
    public Task Without_avx2() => Expect(Widest(KernelWidth.Vector128), "EnableAVX2");

    [Fact]
    public Task Without_vectors() => Expect(KernelWidth.Scalar, "EnableHWIntrinsic");

    static KernelWidth Widest(KernelWidth limit) => Enum.GetValues<KernelWidth>().Where(width => width <= limit && KernelWidths.IsSupported(width)).Max();

    static async Task Expect(KernelWidth expected, params string[] off)
    {
        var report = WidthReport.Parse(await RunProcess(off));
        Assert.Equal(expected, report.Width);
        Assert.Equal(WidthReport.OfThisProcess().Digest, report.Digest);
    }

    static async Task<string> RunProcess(string[] off)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            ArgumentList = { "exec", typeof(WidthSwitchTests).Assembly.Location },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var name in off) start.Environment[$"DOTNET_{name}"] = "0";
        using var process = Process.Start(start)!;
        using var deadline = new CancellationTokenSource(Deadline);
        var errors = process.StandardError.ReadToEndAsync(deadline.Token);
        var output = await process.StandardOutput.ReadToEndAsync(deadline.Token);
        await process.WaitForExitAsync(deadline.Token);
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', off)}: exit code {process.ExitCode}: {await errors}");
        return output;
    }
}
