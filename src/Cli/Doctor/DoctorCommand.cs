using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cli.Observing;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Observing;
using LlamaCluster.Kernels;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Cli.Doctor;

/// <summary>`doctor`: looks for what keeps a cluster from working well, and says what to change. Changes nothing.</summary>
static class DoctorCommand
{
    public static Command Create()
    {
        var workers = new Argument<string[]>("worker")
        {
            HelpName = "URL",
            Description = "gRPC addresses of workers that this machine must reach",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var url = new Option<string?>("--url") { HelpName = "URL", Description = "the API of a running coordinator: checks its cluster too" };
        var json = new Option<bool>("--json") { Description = "print one JSON object" };
        var tls = new TlsOptions();
        var command = new Command(
            "doctor", "Check this machine, and workers or a running cluster; say what to change. Exit code 1: something does not work like this.")
        {
            workers, url, json,
        };
        foreach (var option in tls.All) command.Add(option);
        command.SetAction(async (parsed, cancellation) =>
        {
            var addresses = (parsed.GetValue(workers) ?? []).Select(AddressOf).ToList();
            using var certificates = tls.Read(parsed) is { } files ? ClusterTls.Load(files) : null;
            List<Diagnosis> found = [.. new MachineChecks(new MachineFiles(), Facts()).All()];
            if (parsed.GetValue(url) is { } api)
            {
                var (checks, reachable) = await ClusterAsync(ApiOf(api), cancellation);
                found.AddRange(checks);
                addresses.AddRange(reachable.Except(addresses));
            }
            var reach = new WorkerReach(new PeerChannels(certificates), TimeProvider.System);
            foreach (var address in addresses) found.AddRange(await reach.CheckAsync(address, cancellation));
            return DiagnosisReport.Write(parsed.InvocationConfiguration.Output, found, parsed.GetValue(json));
        });
        return command;
    }

    static Uri AddressOf(string written) => PeerAddress.TryParse(written, out var address)
        ? address
        : throw new Coordinator.InvalidOptionsException($"'{written}' is no worker's address; it must be like http://10.0.0.7:9091");

    static Uri ApiOf(string written) => Uri.TryCreate(written, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
        ? url
        : throw new Coordinator.InvalidOptionsException($"--url is '{written}'; it must be like http://127.0.0.1:8080");

    static ProcessFacts Facts()
    {
        var allowed = Processors.Allowed().Length;
        var (folder, free) = Cache();
        return new ProcessFacts(allowed > 0 ? allowed : Environment.ProcessorCount, Processors.Online().Length, KernelWidths.Name, folder, free);
    }

    static (string Folder, long? Free) Cache()
    {
        try
        {
            var folder = CacheRoot.Find().Folder;
            return (folder, new DriveInfo(folder).AvailableFreeSpace);
        }
        catch (Exception closed) when (closed is IOException or UnauthorizedAccessException)
        {
            return ("the cache folder", null);
        }
    }

    /// <returns>What was found, and the workers that this machine should reach: those of another machine's loopback it cannot.</returns>
    static async Task<(IReadOnlyList<Diagnosis> Found, IReadOnlyList<Uri> Workers)> ClusterAsync(Uri api, CancellationToken cancellation)
    {
        using var client = new ClusterClient(api, TimeProvider.System);
        try
        {
            var asked = DateTimeOffset.UtcNow;
            var cluster = client.Parse(await client.NowAsync(cancellation));
            var between = asked + (DateTimeOffset.UtcNow - asked) / 2;
            return (
                [.. ClusterChecks.Of(cluster, cluster.Time - between.ToUnixTimeMilliseconds() / 1e3)],
                [.. WorkersOf(cluster).Where(worker => api.IsLoopback || !worker.IsLoopback)]);
        }
        catch (CommandFailedException gone)
        {
            const string remedy = "give the API's address, as the coordinator's first line names it; on other machines it must listen there (--listen)";
            return ([new Diagnosis("coordinator", Verdict.Fail, gone.Message, remedy)], []);
        }
    }

    static IEnumerable<Uri> WorkersOf(ClusterSnapshot cluster) =>
        cluster.Workers.Where(worker => worker.State is not ("lost" or "unreachable")).Select(worker => new Uri(worker.Address)).Distinct();
}
