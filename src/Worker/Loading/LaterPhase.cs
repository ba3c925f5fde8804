using LlamaCluster.Worker.Orders;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;

namespace LlamaCluster.Worker.Loading;

/// <summary>A phase that goes on beside another one, and is told only once there is nothing else to wait for.</summary>
sealed class LaterPhase(LoadProgressFeed progress, Phase phase) : IProgress<long>
{
    volatile bool _begun;

    public void Begin(long bytes, string source = "")
    {
        progress.Begin(phase, bytes, source);
        _begun = true;
    }

    public void Report(long value)
    {
        if (_begun) progress.Report(value);
    }
}
