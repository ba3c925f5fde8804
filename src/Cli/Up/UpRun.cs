using System.Runtime.InteropServices;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cli.Up;

/// <summary>
/// Runs a cluster on this machine: a coordinator in this process, and worker processes. When chat works, it writes its one line to stdout. It ends
/// with SIGINT or SIGTERM, or when the cluster cannot go on: a worker dies again and again, or these workers can never serve the model.
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
        await coordinator.StartAsync(told.Token);
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
            var failure = await Task.WhenAny(workers.GivenUp, NeverReadyAsync(coordinator.Status, told.Token), FaultOf(ready)).WaitAsync(told.Token);
            var reason = await failure;
            await told.CancelAsync();
            await ready.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);   // so that the view has shown its last line
            error.WriteLine($"error: {reason}");
            return ExitCode.Failed;
        }
        catch (OperationCanceledException) when (told.IsCancellationRequested)
        {
            return ExitCode.Done;
        }
    }

    /// <summary>Completes with the reason if these workers can never serve the model. There are no others on their way.</summary>
    static async Task<string> NeverReadyAsync(Latest<ClusterStatus> status, CancellationToken stopping)
        => (await status.WaitAsync(now => now.NeedsOtherWorkers, stopping)).Trouble;

    /// <summary>Ends as the task does, but only if that fails.</summary>
    static async Task<string> FaultOf(Task task)
    {
        await task;
        return await new TaskCompletionSource<string>().Task;
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
