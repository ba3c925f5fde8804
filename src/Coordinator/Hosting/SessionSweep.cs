using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Responses;
using LlamaCluster.Sessions.Storage;
using Microsoft.Extensions.Hosting;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>
/// Removes sessions and responses that have ended by their time to live, every minute, if there may be any. The first time is a minute after the start, so
/// that nothing that sessions need is started while the model is loaded, or when nobody uses them; only their dashboard has it started at once.
/// </summary>
sealed class SessionSweep(SessionDirectory sessions, ResponseDirectory responses, SessionsOptions options, TimeProvider time) : BackgroundService
{
    static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            if (options.OrleansDashboard is not null) await TryAsync(sessions.StartAsync(stoppingToken));
            while (await timer.WaitForNextTickAsync(stoppingToken)) await SweepAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    async Task SweepAsync(CancellationToken stopping)
    {
        if (sessions.MayHoldSessions) await TryAsync(sessions.SweepAsync(stopping));
        await TryAsync(responses.SweepAsync(stopping));
    }

    static async Task TryAsync(Task work)
    {
        try
        {
            await work;
        }
        catch (StateStoreException)
        {
            return;   // it has been logged, and the next sweep is soon
        }
    }
}
