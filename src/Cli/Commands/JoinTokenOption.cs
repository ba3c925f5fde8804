using System.CommandLine;
using LlamaCluster.Cluster;

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

/// <summary>--insecure, for `coordinator` and `worker`.</summary>
static class InsecureOption
{
    /// <param name="what">What it does for this command.</param>
    public static Option<bool> Create(string what) => new(Exposure.Option) { Description = $"listen where other machines reach it although {what}" };
}
