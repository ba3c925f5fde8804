using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Hosting;

namespace LlamaCluster.Worker;

/// <summary>The allowed values of <see cref="WorkerOptions"/>.</summary>
public static class WorkerOptionsRules
{
    const int MaxThreads = 4096;
    const int MaxNameLength = 128;

    static readonly TimeSpan LongestTime = TimeSpan.FromDays(1);

    /// <summary>The first value that is not allowed, in one line: the option, the value and what is allowed. Null if all are.</summary>
    public static string? FirstProblem(WorkerOptions options) =>
        !PeerAddress.IsValid(options.Coordinator) ? $"--coordinator is '{options.Coordinator}'; it must be like http://10.0.0.1:8081"
        : options.Coordinator.Scheme != SchemeOf(options) ? $"--coordinator is '{options.Coordinator}'; it must be {SchemeOf(options)}: the cluster has TLS everywhere or nowhere (--tls-cert, --tls-key, --tls-ca)"
        : ListenAddress.FirstProblem(options.Listen, tls: options.Tls is not null) is { } problem ? $"--listen is '{options.Listen}'; {problem}"
        : options.Threads is < 0 or > MaxThreads ? $"--threads is {options.Threads}; it must be from 1 to {MaxThreads}, or 0 for one a processor"
        : options.MemoryBytes is < 1 ? $"--memory is {options.MemoryBytes}; it must be a number of bytes from 1"
        : options.Name.Length > MaxNameLength || options.Name.Any(char.IsControl) ? $"--name must have at most {MaxNameLength} characters, none of them control characters"
        : options.ModelPath is { } path && !ModelFiles.Exist(path) ? $"--model is '{path}'; there is no such file or folder"
        : TimeProblem(nameof(options.PeerTimeout), options.PeerTimeout) ?? TimeProblem(nameof(options.DrainTimeout), options.DrainTimeout);

    static string SchemeOf(WorkerOptions options) => options.Tls is null ? Uri.UriSchemeHttp : Uri.UriSchemeHttps;

    static string? TimeProblem(string name, TimeSpan value) =>
        value > TimeSpan.Zero && value <= LongestTime ? null : $"{name} is {value}; it must be above 0 and at most {LongestTime.TotalHours} hours";
}
