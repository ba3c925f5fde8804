using System.Text.Json;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Integration.Tests.Observing;

/// <summary>`top` and `doctor` before a real cluster.</summary>
public sealed class TopAndDoctorTests : IAsyncLifetime
{
    LocalCluster _cluster = null!;

    public async Task InitializeAsync() => _cluster = await LocalCluster.StartAsync();

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    string Url => $"{_cluster.Http.BaseAddress}";

    [Fact]
    public async Task Top_prints_a_picture_and_then_one_after_the_other_until_it_is_told_to_end()
    {
        await using var once = CliProcess.Start("top", "--once", "--url", Url);
        Assert.Equal(0, await once.ExitAsync());
        Assert.Contains("worker-1  serving", once.Log);
        Assert.Contains("it serves", once.Log);

        await using var piped = CliProcess.Start("top", "--url", Url);
        for (var pictures = 0; pictures < 2;)
            if ((await piped.OutputLineAsync()).StartsWith("LlamaCluster  llamacluster-demo-5m-q8_0", StringComparison.Ordinal)) pictures++;
        await Signals.SendAsync("INT", piped.Id);
        Assert.Equal(0, await piped.ExitAsync());
    }

    [Fact]
    public async Task The_doctor_reaches_all_workers_and_fails_for_one_that_is_not_there()
    {
        await using var sound = CliProcess.Start("doctor", "--json", "--url", Url);
        await sound.ExitAsync();
        var checks = JsonDocument.Parse(sound.Log).RootElement.GetProperty("checks").EnumerateArray().ToList();
        Assert.Equal(2, checks.Count(check => check.GetProperty("finding").GetString()!.StartsWith("answers, ", StringComparison.Ordinal)));
        Assert.Contains(checks, check => check.GetProperty("check").GetString() == "coordinator" && check.GetProperty("verdict").GetString() == "ok");

        await using var broken = CliProcess.Start(
            "doctor", "http://127.0.0.1:1", $"http://127.0.0.1:{_cluster.Http.BaseAddress!.Port}", "--url", "http://127.0.0.1:1");
        Assert.Equal(1, await broken.ExitAsync());
        Assert.Contains("fail  http://127.0.0.1:1", broken.Log);
        Assert.Contains("-> start the worker with --listen http://0.0.0.0:1", broken.Log);
        Assert.Contains("does not speak gRPC", broken.Log);
        Assert.Contains("fail  coordinator", broken.Log);
    }
}
