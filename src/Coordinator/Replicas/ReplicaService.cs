using Microsoft.Extensions.Hosting;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// Owns the task of the replica's loop. When the host begins to stop, running sequences get a moment to finish before the connections that
/// their answers go over are closed.
/// </summary>
public sealed class ReplicaService(Replica replica, ClusterDeadlines deadlines, TimeProvider time) : IHostedLifecycleService, IDisposable
{
    readonly CancellationTokenSource _stopping = new();
    Task _running = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _running = Task.Run(() => replica.RunAsync(_stopping.Token), CancellationToken.None);
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(replica.DrainAsync("the coordinator is stopping", forGood: true), Task.Delay(deadlines.Shutdown, time, enough.Token));
        await enough.CancelAsync();
        await _stopping.CancelAsync();
        await _running;
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _stopping.Dispose();
}
