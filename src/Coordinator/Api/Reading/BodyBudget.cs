using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>
/// Bounds the bytes of bodies that all requests together hold, from when a body is read until its prompts are encoded: what is made of a body takes
/// many times its size. After large bodies the memory is given back to the system; .NET would keep it for more of the kind.
/// </summary>
sealed partial class BodyBudget : IDisposable
{
    /// <summary>Fewer bytes of bodies are not worth a collection of all memory, which stops every stream for some milliseconds.</summary>
    const long WorthGivingBack = 16 << 20;

    /// <summary>No body has been held for so long: the flood is over.</summary>
    static readonly TimeSpan Quiet = TimeSpan.FromSeconds(2);

    readonly ILogger _logger;
    readonly ITimer _giveBack;
    long _held;
    long _sinceGivenBack;

    public BodyBudget(TimeProvider time, ILogger<BodyBudget> logger)
    {
        _logger = logger;
        _giveBack = time.CreateTimer(_ => GiveBack(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public BodyLease Begin() => new(this);

    public void Dispose() => _giveBack.Dispose();

    internal bool TryTake(long bytes)
    {
        if (Interlocked.Add(ref _held, bytes) <= ApiLimits.BodyBytesOfAll) return true;
        Interlocked.Add(ref _held, -bytes);
        return false;
    }

    internal void Return(long bytes)
    {
        var left = Interlocked.Add(ref _held, -bytes);
        if (Interlocked.Add(ref _sinceGivenBack, bytes) >= WorthGivingBack && left == 0) _giveBack.Change(Quiet, Timeout.InfiniteTimeSpan);
    }

    void GiveBack()
    {
        if (Interlocked.Read(ref _held) > 0) return;   // whoever holds it sets the timer again
        Interlocked.Exchange(ref _sinceGivenBack, 0);
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        LogGivenBack(GC.GetGCMemoryInfo().TotalCommittedBytes);
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "Gave memory back after large requests; {Bytes} bytes are committed")]
    partial void LogGivenBack(long bytes);
}

/// <summary>One request's share of the <see cref="BodyBudget"/>. To be disposed when its prompts are encoded; more than once does no harm.</summary>
sealed class BodyLease(BodyBudget budget) : IDisposable
{
    long _bytes;

    /// <summary>Makes the share as large as the body is so far.</summary>
    /// <returns>False if all requests together would hold too much.</returns>
    public bool TryGrow(long bytes)
    {
        var more = bytes - _bytes;
        if (more <= 0) return true;
        if (!budget.TryTake(more)) return false;
        _bytes = bytes;
        return true;
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _bytes, 0) is > 0 and var held) budget.Return(held);
    }
}
