using System.Runtime.InteropServices;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator.Hosting;

namespace LlamaCluster.Cli.Up;

/// <summary>
/// A cluster on this machine: a coordinator in this process, worker processes beside it. When chat works, stdout gets its one line. It ends
/// with SIGINT or SIGTERM, or when all workers have died for good.
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
        await Listening.StartAsync(coordinator, options.Coordinator, told.Token);
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
        while (!await FirstToken.ComesAsync(coordinator.Engine, stopping));
        await FirstChat.HoldAsync(coordinator.ApiAddress, coordinator.Model.Name, stopping);
        output.WriteLine($"ready {coordinator.ApiAddress.GetLeftPart(UriPartial.Authority)} model={coordinator.Model.Name}");
        output.Flush();
    }

    static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource told) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        told.Cancel();
    });
}
