using LlamaCluster.Kernels;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Profiling;

/// <summary>
/// This machine's profile. It is measured once for each number of threads and version of the software, and kept on disk. Workers of one machine
/// measure one after the other, and use what another has measured.
/// </summary>
sealed partial class MeasuredProfile(ComputeThreads threads, ProfileCache cache, TimeProvider time, ILogger<MeasuredProfile> logger) : IProfileSource
{
    /// <summary>After so long it measures without the lock: a disturbed measurement is better than none.</summary>
    static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    public async Task<Profile> GetAsync(CancellationToken cancellation)
    {
        var version = typeof(MeasuredProfile).Assembly.GetName().Version?.ToString(3) ?? "";
        var key = Hardware.MeasurementKey(threads.Count, KernelWidths.Chosen.ToString().ToLowerInvariant(), version);
        var profile = cache.TryRead(key) ?? await MeasureAsync(key, cancellation);
        return profile.ToMessage(Hardware.HostId);
    }

    async Task<MachineProfile> MeasureAsync(string key, CancellationToken cancellation)
    {
        using var alone = await LockAsync(cancellation);
        if (cache.TryRead(key) is { } others) return others;
        var start = time.GetTimestamp();
        var profile = await Task.Run(() => MachineMeasurement.Run(threads), cancellation);
        LogMeasured(time.GetElapsedTime(start).TotalSeconds, threads.Count, profile.ReadBytes / 1e9, profile.HostReadBytes / 1e9, profile.MultiplyAdds / 1e9);
        cache.Write(key, profile);
        return profile;
    }

    async Task<IDisposable?> LockAsync(CancellationToken cancellation)
    {
        for (var start = time.GetTimestamp(); time.GetElapsedTime(start) < LongestWait; await Task.Delay(Pause, time, cancellation))
            if (cache.TryLock() is { } held) return held;
        return null;
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "Measured this machine in {Seconds:0.0} s with {Th"
        + "reads} threads: reads {Read:0.0} GB/s (all processors {HostRead:0.0}), {MultiplyAdds:0} G multiply-adds/s")]
    partial void LogMeasured(double seconds, int threads, double read, double hostRead, double multiplyAdds);
}

/// <summary>Gives the speed of this machine, as the worker tells it to the coordinator.</summary>
interface IProfileSource
{
    Task<Profile> GetAsync(CancellationToken cancellation);
}

/// <summary>Nothing is measured. The coordinator then takes the worker to be like the others.</summary>
sealed class NoProfile : IProfileSource
{
    public Task<Profile> GetAsync(CancellationToken cancellation) => Task.FromResult(new Profile());
}
