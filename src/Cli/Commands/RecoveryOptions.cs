using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>With how many workers a cluster goes on, and how long it waits for others; options of `up` and `coordinator`.</summary>
sealed class RecoveryOptions
{
    static readonly ClusterDeadlines Defaults = new();

    readonly Option<int> _minWorkers = new("--min-workers")
    {
        HelpName = "M",
        Description = "fewest workers to serve with when others do not come or were lost, if they have the memory",
        DefaultValueFactory = _ => 1,
    };

    readonly DurationOption _waitForWorkers = new(
        "--wait-for-workers", "how long all wanted workers are waited for before fewer serve", Defaults.WaitForWorkers);

    readonly DurationOption _recoveryTimeout = new(
        "--recovery-timeout", "how long requests wait for other workers when theirs were lost, before they are answered 503", Defaults.Recovery);

    public IEnumerable<Option> All => [_minWorkers, _waitForWorkers, _recoveryTimeout];

    public int MinWorkersOf(ParseResult parsed) => parsed.GetValue(_minWorkers);

    public ClusterDeadlines DeadlinesOf(ParseResult parsed) => Defaults with
    {
        WaitForWorkers = _waitForWorkers.In(parsed),
        Recovery = _recoveryTimeout.In(parsed),
    };
}
