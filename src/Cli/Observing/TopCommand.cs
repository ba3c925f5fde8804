using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator.Observing;
using Spectre.Console;

namespace LlamaCluster.Cli.Observing;

/// <summary>`top`: watches a running cluster in the terminal.</summary>
static class TopCommand
{
    public static Command Create()
    {
        var url = UrlOption.Create("--url", "the API's address", otherwise: "http://127.0.0.1:8080");
        var once = new Option<bool>("--once") { Description = "print one picture and end" };
        var json = new Option<bool>("--json") { Description = "print what there is to know as one JSON object, and end" };
        var command = new Command(
            "top", $"Watch a running cluster: pipeline, throughput, queue, recovery. q or Ctrl-C ends. A cluster with keys takes that of {ClientKey.Variable}.")
        {
            url, once, json,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var client = new ClusterClient(parsed.GetRequiredValue(url), TimeProvider.System);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                var now = await client.NowAsync(cancellation);
                client.Parse(now);
                output.WriteLine(now);
                return ExitCode.Done;
            }
            using var told = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            using var signals = StopSignals.Cancel(told);
            var display = TopDisplay.For(output, parsed.InvocationConfiguration.Error);
            return await new TopLoop(client, display, TimeProvider.System).RunAsync(parsed.GetValue(once), told);
        });
        return command;
    }
}

/// <summary>Follows a cluster and shows it, until it is told to stop. A coordinator that is gone is waited for, once it was there.</summary>
sealed class TopLoop(ClusterClient client, TopDisplay display, TimeProvider time)
{
    static readonly TimeSpan Again = TimeSpan.FromSeconds(1);

    const int Kept = 60;

    readonly List<double> _history = [];
    ClusterSnapshot? _last;

    public async Task<int> RunAsync(bool once, CancellationTokenSource told)
    {
        try
        {
            await (once ? ShowOnceAsync(told.Token) : display.RunAsync(() => FollowAsync(told.Token), told));
            return ExitCode.Done;
        }
        catch (OperationCanceledException) when (told.IsCancellationRequested)
        {
            return ExitCode.Done;
        }
        catch (IOException)
        {
            return ExitCode.Done;   // nobody reads the pipe any more; the cluster's own failures are of another kind
        }
    }

    /// <summary>Rates need two moments, so the second snapshot is shown.</summary>
    async Task ShowOnceAsync(CancellationToken cancellation)
    {
        await foreach (var snapshot in client.FollowAsync(cancellation))
        {
            if (snapshot.Replicas[0].Rates is null) continue;
            display.Show(TopFrame.Of(snapshot, [], ""));
            return;
        }
    }

    async Task FollowAsync(CancellationToken cancellation)
    {
        while (true)
            try
            {
                await foreach (var snapshot in client.FollowAsync(cancellation))
                {
                    _last = snapshot;
                    if (snapshot.Replicas[0].Rates is { } rates) Keep(rates.GeneratedTokensPerSecond);
                    display.Show(TopFrame.Of(snapshot, _history, ""));
                }
            }
            catch (CommandFailedException gone) when (_last is { } last)
            {
                display.Tell(gone.Message, TopFrame.Of(last, _history, gone.Message));
                await Task.Delay(Again, time, cancellation);
            }
    }

    void Keep(double tokensPerSecond)
    {
        _history.Add(tokensPerSecond);
        if (_history.Count > Kept) _history.RemoveAt(0);
    }
}
