using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>How fast a worker gets on with the present phase of its loading.</summary>
sealed class LoadingMeter(TimeProvider time)
{
    /// <summary>A rate over less time says nothing.</summary>
    static readonly TimeSpan Least = TimeSpan.FromMilliseconds(500);

    static readonly TimeSpan NewsInterval = TimeSpan.FromSeconds(10);

    LoadProgress.Types.Phase _phase;
    ulong _first;
    long _begun, _told;

    /// <summary>Bytes a second since the phase began; 0 while unknown.</summary>
    public double Rate { get; private set; }

    /// <summary>It is time to say again how far it is.</summary>
    public bool HasNews { get; private set; }

    public void Update(LoadProgress progress)
    {
        if (progress.Phase != _phase)
        {
            (_phase, _first, Rate) = (progress.Phase, progress.BytesDone, 0);
            _begun = _told = time.GetTimestamp();
        }
        var elapsed = time.GetElapsedTime(_begun);
        if (elapsed >= Least && progress.BytesDone >= _first) Rate = (progress.BytesDone - _first) / elapsed.TotalSeconds;
        HasNews = time.GetElapsedTime(_told) >= NewsInterval;
        if (HasNews) _told = time.GetTimestamp();
    }
}
