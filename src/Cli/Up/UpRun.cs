using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Primitives;
using LlamaCluster.Worker;
using LlamaCluster.Worker.Hosting;

namespace LlamaCluster.Cli.Up;

/// <summary>
/// Runs a cluster on this machine: a coordinator in this process, and worker processes. When chat works, it writes its one line to stdout. It ends
/// with SIGINT or SIGTERM, or when the cluster cannot go on: too few workers are left of those that died again and again, or they can never serve the model.
/// </summary>
sealed class UpRun(UpOptions options, TextWriter output, TextWriter error)
{
    public async Task<int> RunAsync(CancellationToken cancellation)
    {
        using var told = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var signals = StopSignals.Cancel(told);
        using var launcher = DotnetRunWatch.Start(told.Cancel);
        using var view = LoadingView.For(error);
        if (options.EndsWithInput) InputWatch.Start(Console.OpenStandardInput(), () => Environment.Exit(ExitCode.Done));
        await using var guard = options.GuardModel is { } model ? new GuardProcess(options, model, view.Log) : null;
        CoordinatorOptions serving;
        try
        {
            serving = guard is null ? options.Coordinator : GuardedBy(await guard.ReadyAsync(told.Token));
        }
        catch (OperationCanceledException) when (told.IsCancellationRequested)
        {
            return ExitCode.Done;
        }
        if (CoordinatorOptionsValidator.FirstProblem(serving) is { } problem) throw new InvalidOptionsException(problem);
        // Worker processes start while the model is opened. They can connect already, and are answered when the coordinator has started.
        using var sockets = new ListenSockets();
        var address = sockets.OpenAhead(ListenAddress.Parse(serving.GrpcListen));
        var draftWeights = new TaskCompletionSource<long?>();
        if (serving.Draft is null) draftWeights.SetResult(null);
        var log = new HeldLines(view.Log);
        await using var workers = WorkerFleet.Serving(options, address.Uri, MemoryAsync(draftWeights.Task), log, told.Token);
        await using var coordinator = CoordinatorHost.Create(serving with { GrpcListen = address.Uri.GetLeftPart(UriPartial.Authority) }, sockets);
        draftWeights.TrySetResult(coordinator.DraftWeightBytes);
        await coordinator.StartAsync(told.Token);
        log.Release();
        await using var drafting = coordinator.DraftGrpcAddress is { } draft
            ? WorkerFleet.Drafting(
                options, draft, Task.FromResult(WorkerMemory.OfEach(serving.Workers, coordinator.DraftWeightBytes).Draft), view.Log, told.Token)
            : null;
        var exitCode = await ServeAsync(coordinator, workers, view, told);
        await coordinator.StopAsync(CancellationToken.None);
        return exitCode;
    }

    async Task<long> MemoryAsync(Task<long?> draftWeights) => WorkerMemory.OfEach(options.Coordinator.Workers, await draftWeights).Each;

    CoordinatorOptions GuardedBy(Uri guard) =>
        options.Coordinator with { Api = options.Coordinator.Api with { Filters = options.Coordinator.Api.Filters with { Guard = guard } } };

    async Task<int> ServeAsync(CoordinatorHost coordinator, WorkerFleet workers, LoadingView view, CancellationTokenSource told)
    {
        try
        {
            var ready = AnnounceAsync(coordinator, view, told.Token);
            var neverReady = NeverReadyAsync(coordinator.Status, workers.Left, told.Token);
            var failure = await Task.WhenAny(workers.GivenUp, neverReady, EndedAsync(coordinator, told.Token), FaultOf(ready)).WaitAsync(told.Token);
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

    /// <summary>Completes with the reason if all workers that are left can never serve the model. There are no others on their way.</summary>
    static async Task<string> NeverReadyAsync(Latest<ClusterStatus> status, Latest<int> left, CancellationToken stopping)
    {
        while (true)
        {
            var count = left.Value;
            using var over = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            var tooFew = status.WaitAsync(now => now.TooFewWorkers >= count, over.Token);
            if (await Task.WhenAny(tooFew, left.WaitAsync(now => now != count, over.Token)) == tooFew) return (await tooFew).Trouble;
            await over.CancelAsync();
        }
    }

    /// <summary>Completes with the reason if the coordinator ends by itself.</summary>
    static async Task<string> EndedAsync(CoordinatorHost coordinator, CancellationToken stopping)
    {
        await coordinator.WaitForShutdownAsync(stopping);
        stopping.ThrowIfCancellationRequested();
        return coordinator.Failure ?? "the coordinator has stopped";
    }

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
        await FirstChat.HoldAsync(coordinator.ApiAddress, coordinator.Model.Name, coordinator.OwnApiKey, stopping);
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
}
