using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Deployment.Tests.Running;

/// <summary>
/// A pod of one container as a process of this machine: with the arguments, environment, probes, preStop and grace period that its manifest says. What
/// stands in for a node: an address of loopback for the pod's own, folders for its volumes.
/// </summary>
sealed partial class LocalPod : IAsyncDisposable
{
    readonly JsonNode _pod;
    readonly JsonNode _container;
    readonly CliProcess _process;
    readonly CancellationTokenSource _stopping = new();
    readonly Task _watch;

    LocalPod(JsonNode pod, LocalNode node, string name, CliProcess process)
    {
        (_pod, _container, _process, Name, Address) = (pod, pod["containers"]![0]!, process, name, node.AddressOf(name));
        _watch = WatchAsync();
    }

    public string Name { get; }

    public string Address { get; }

    public string Log => _process.Log;

    /// <summary>How often in a row the liveness probe failed at most. The kubelet kills a container at the probe's threshold.</summary>
    public int LivenessFailures { get; private set; }

    public TimeSpan GracePeriod => TimeSpan.FromSeconds((int)_pod["terminationGracePeriodSeconds"]!);

    Probe Startup => new(_container["startupProbe"]!, _container, Address);

    Probe Liveness => new(_container["livenessProbe"]!, _container, Address);

    Probe Readiness => new(_container["readinessProbe"]!, _container, Address);

    /// <param name="pod">A pod's specification.</param>
    /// <param name="environment">What controllers add.</param>
    public static LocalPod Start(JsonNode pod, LocalNode node, string name, Dictionary<string, string> environment)
    {
        var container = pod["containers"]![0]!;
        var variables = new Dictionary<string, string>(node.Settings);
        foreach (var (variable, value) in environment) variables[variable] = value;
        foreach (var variable in container["env"]?.AsArray() ?? [])
            variables[(string)variable!["name"]!] = (string?)variable["value"] ?? FieldOf(variable, name);
        var folders = node.Volumes(pod, name);
        // All at a time: what a path becomes may itself begin like a path of the container.
        var places = container["volumeMounts"]!.AsArray().ToDictionary(mount => (string)mount!["mountPath"]!, mount => folders[(string)mount!["name"]!]);
        places.Add(LocalNode.Program, AppContext.BaseDirectory.TrimEnd('/'));
        var containers = new Regex($"(^|=)({string.Join('|', places.Keys.OrderByDescending(path => path.Length).Select(Regex.Escape))})(?=/|$)");
        string Local(string text)
        {
            var expanded = Reference().Replace(text, match => variables.GetValueOrDefault(match.Groups[1].Value, match.Value));
            expanded = containers.Replace(expanded, match => match.Groups[1].Value + places[match.Groups[2].Value]);
            return expanded.Replace("0.0.0.0", node.AddressOf(name));
        }
        string[] arguments = [.. container["args"]!.AsArray().Select(argument => Local((string)argument!))];
        var all = variables.ToDictionary(variable => variable.Key, variable => (string?)Local(variable.Value));
        (all["TMPDIR"], all["HOME"], all["DOTNET_PROCESSOR_COUNT"]) = (folders["tmp"], null, "1");
        return new LocalPod(pod, node, name, CliProcess.StartWith(all, arguments));
    }

    /// <exception cref="TimeoutException">Its startup probe failed as often as it may.</exception>
    public Task StartedAsync() => UntilAsync(Startup, Startup.Period * Startup.FailureThreshold, "start");

    public Task ReadyAsync() => UntilAsync(Readiness, CliProcess.Deadline, "become ready");

    public Task<bool> IsReadyAsync() => Readiness.SucceedsAsync();

    /// <summary>As the kubelet ends a pod: preStop, SIGTERM, and SIGKILL when the grace period is over, which counts from before preStop.</summary>
    /// <param name="terminating">Called when SIGTERM has been sent.</param>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync(Func<Task>? terminating = null)
    {
        await _stopping.CancelAsync();
        var over = GracePeriod;
        if (_container["lifecycle"]?["preStop"]?["sleep"]?["seconds"] is { } seconds)
        {
            using var sleep = new PeriodicTimer(TimeSpan.FromSeconds((int)seconds));
            await sleep.WaitForNextTickAsync();
            over -= TimeSpan.FromSeconds((int)seconds);
        }
        await Signals.SendAsync("TERM", _process.Id);
        var exit = _process.ExitAsync();
        if (terminating is not null) await terminating();
        return await exit.WaitAsync(over);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _watch;
        await _process.DisposeAsync();
        _stopping.Dispose();
    }

    async Task WatchAsync()
    {
        var failures = 0;
        using var timer = new PeriodicTimer(Liveness.Period);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                failures = await Liveness.SucceedsAsync() || _stopping.IsCancellationRequested ? 0 : failures + 1;
                LivenessFailures = Math.Max(LivenessFailures, failures);
            }
        }
        catch (OperationCanceledException)
        {
            return;   // the pod is told to stop
        }
    }

    async Task UntilAsync(Probe probe, TimeSpan longest, string what)
    {
        using var deadline = new CancellationTokenSource(longest);
        using var timer = new PeriodicTimer(probe.Period);
        try
        {
            while (!await probe.SucceedsAsync()) await timer.WaitForNextTickAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"{Name} did not {what} within {longest}:\n{Log}");
        }
    }

    static string FieldOf(JsonNode variable, string pod) => (string)variable["valueFrom"]!["fieldRef"]!["fieldPath"]! switch
    {
        "metadata.name" => pod,
        var other => throw new NotSupportedException($"the field {other}"),
    };

    [GeneratedRegex(@"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")]
    private static partial Regex Reference();
}
