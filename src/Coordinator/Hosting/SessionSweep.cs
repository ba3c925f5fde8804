using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Storage;
using Microsoft.Extensions.Hosting;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>
/// Removes sessions that have ended by their time to live, every minute, if there may be any. The first time is a minute after the start, so that nothing
/// that sessions need is started while the model is loaded, or when nobody uses them.
/// </summary>
sealed class SessionSweep(SessionDirectory directory, TimeProvider time) : BackgroundService
{
    static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                if (directory.MayHoldSessions) await SweepAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    async Task SweepAsync(CancellationToken stopping)
    {
        try
        {
            await directory.SweepAsync(stopping);
        }
        catch (StateStoreException)
        {
            return;   // the directory has logged it, and the next sweep is soon
        }
    }
}
