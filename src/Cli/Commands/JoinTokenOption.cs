using System.CommandLine;

namespace LlamaCluster.Cli.Commands;

/// <summary>--join-token-file, for `coordinator` and `worker`.</summary>
static class JoinTokenOption
{
    /// <param name="what">What it does for this command.</param>
    public static Option<string?> Create(string what) => new("--join-token-file")
    {
        HelpName = "FILE",
        Description = $"a secret of the cluster's processes, one a line, of which the first is used and all are good: {what}",
    };
}
