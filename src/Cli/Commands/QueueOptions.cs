using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>What an operator may say of how much the cluster takes on at a time; `up` and `coordinator` have it in common.</summary>
sealed class QueueOptions
{
    static readonly EngineOptions Defaults = new();

    readonly Option<int> _maxRunning = new("--max-running") { HelpName = "N", Description = "sequences that run at a time", DefaultValueFactory = _ => Defaults.MaxRunning };
    readonly Option<int> _maxWaiting = new("--max-waiting") { HelpName = "N", Description = "sequences that may wait beside them; more are answered 429", DefaultValueFactory = _ => Defaults.MaxWaiting };
    readonly Option<bool> _noPrefixCache = new("--no-prefix-cache") { Description = "compute every prompt from its beginning" };

    readonly Option<bool> _noSpeculation = new("--no-speculation") { Description = "do not guess what greedy streams repeat of their own text" };

    public IEnumerable<Option> All => [_maxRunning, _maxWaiting, _noPrefixCache, _noSpeculation];

    public EngineOptions Read(ParseResult parsed) => Defaults with
    {
        MaxRunning = parsed.GetValue(_maxRunning),
        MaxWaiting = parsed.GetValue(_maxWaiting),
        CachePrefixes = !parsed.GetValue(_noPrefixCache),
        Speculate = !parsed.GetValue(_noSpeculation),
    };
}
