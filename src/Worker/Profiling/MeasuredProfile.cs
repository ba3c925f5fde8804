using LlamaCluster.Protos;
using LlamaCluster.Worker.Loading;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Profiling;

/// <summary>
/// This machine's profile, measured once for each number of threads and version of the software, and kept on disk. Workers of one machine measure one after
/// the other, and use what another has measured.
/// </summary>
sealed partial class MeasuredProfile(LlamaLoader loader, ProfileCache cache, TimeProvider time, ILogger<MeasuredProfile> logger) : IProfileSource
{
    /// <summary>After so long, a measurement that others may disturb is better than none.</summary>
    static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    public async Task<Profile> GetAsync(CancellationToken cancellation)
    {
        var version = typeof(MeasuredProfile).Assembly.GetName().Version?.ToString(3) ?? "";
        var key = Hardware.MeasurementKey(loader.Threads, loader.InstructionSet, version);
        var profile = cache.TryRead(key) ?? await MeasureAsync(key, cancellation);
        return profile.ToMessage(Hardware.HostId);
    }

    async Task<MachineProfile> MeasureAsync(string key, CancellationToken cancellation)
    {
        using var alone = await LockAsync(cancellation);
        if (cache.TryRead(key) is { } others) return others;
        var start = time.GetTimestamp();
        var profile = await Task.Run(loader.Measure, cancellation);
        LogMeasured(time.GetElapsedTime(start).TotalSeconds, loader.Threads, profile.ReadBytes / 1e9, profile.HostReadBytes / 1e9, profile.MultiplyAdds / 1e9);
        cache.Write(key, profile);
        return profile;
    }

    async Task<IDisposable?> LockAsync(CancellationToken cancellation)
    {
        for (var start = time.GetTimestamp(); time.GetElapsedTime(start) < LongestWait; await Task.Delay(Pause, time, cancellation))
            if (cache.TryLock() is { } held) return held;
        return null;
    }
}
