using System.Runtime.InteropServices;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cli.Up;

/// <summary>
/// Runs a cluster on this machine: a coordinator in this process, and worker processes. When chat works, it writes its one line to stdout. It ends
/// with SIGINT or SIGTERM, or when no worker is left and none will be restarted.
/// </summary>
sealed class UpRun(UpOptions options, TextWriter output, TextWriter error)
{
    public async Task<int> RunAsync(CancellationToken cancellation)
    {
        using var told = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var interrupt = StopOn(PosixSignal.SIGINT, told);
        using var terminate = StopOn(PosixSignal.SIGTERM, told);
        using var launcher = DotnetRunWatch.Start(told.Cancel);
        using var view = LoadingView.For(error);
        await using var coordinator = CoordinatorHost.Create(options.Coordinator);
        await CoordinatorCommand.StartAsync(coordinator, options.Coordinator, told.Token);
        await using var workers = new WorkerFleet(options, coordinator.GrpcAddress, view.Log, told.Token);
        var exitCode = await ServeAsync(coordinator, workers, view, told);
        await coordinator.StopAsync(CancellationToken.None);
        return exitCode;
    }

    async Task<int> ServeAsync(CoordinatorHost coordinator, WorkerFleet workers, LoadingView view, CancellationTokenSource told)
    {
        try
        {
            var ready = AnnounceAsync(coordinator, view, told.Token);
            if (await Task.WhenAny(ready, workers.AllGivenUp) == ready)
            {
                await ready;
                await workers.AllGivenUp.WaitAsync(told.Token);
            }
            if (told.IsCancellationRequested) return ExitCode.Done;
            await told.CancelAsync();
            error.WriteLine("error: no worker is left; the lines above say why each of them ended");
            return ExitCode.Failed;
        }
        catch (OperationCanceledException) when (told.IsCancellationRequested)
        {
            return ExitCode.Done;
        }
    }

    async Task AnnounceAsync(CoordinatorHost coordinator, LoadingView view, CancellationToken stopping)
    {
        do await view.FollowUntilReadyAsync(coordinator.Status, stopping);
        while (!await FirstTokenComesAsync(coordinator.Engine, stopping));
        await FirstChat.HoldAsync(coordinator.ApiAddress, coordinator.Model.Name, stopping);
        output.WriteLine($"ready {coordinator.ApiAddress.GetLeftPart(UriPartial.Authority)} model={coordinator.Model.Name}");
        output.Flush();
    }

    /// <summary>The proof that a cluster works: one token, through all stages.</summary>
    static async Task<bool> FirstTokenComesAsync(IGenerationEngine engine, CancellationToken cancellation)
    {
        var request = new SequenceRequest([0], new SamplingOptions(), MaxTokens: 1, StopIds: new HashSet<int>());
        await foreach (var happened in engine.GenerateAsync(request, cancellation))
            if (happened is SequenceEvent.Finished) return true;
        return false;
    }

    static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource told) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        told.Cancel();
    });
}
