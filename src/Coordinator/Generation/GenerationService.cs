using Microsoft.Extensions.Hosting;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>
/// Owns the generation loop's task. When the host begins to stop, and before it closes the connections that the answers go over, running
/// sequences get a moment to finish.
/// </summary>
public sealed class GenerationService(GenerationLoop loop, ClusterDeadlines deadlines, TimeProvider time) : IHostedLifecycleService, IDisposable
{
    readonly CancellationTokenSource _stopping = new();
    Task _running = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _running = Task.Run(() => loop.RunAsync(_stopping.Token), CancellationToken.None);
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(loop.DrainAsync("the coordinator is stopping"), Task.Delay(deadlines.Shutdown, time, enough.Token));
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
