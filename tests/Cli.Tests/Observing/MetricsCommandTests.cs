using LlamaCluster.Cli.Observing;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Observing;

public sealed class MetricsCommandTests
{
    [Fact]
    public async Task It_prints_docs_metrics_md()
    {
        var run = await CommandRun.OfAsync("", "metrics");
        Assert.Equal(0, run.ExitCode);
        var file = await File.ReadAllTextAsync(Path.Combine(SharedFiles.Repository, "docs", "metrics.md"));
        Assert.True(file == run.Output, "docs/metrics.md is not what `llamacluster metrics` prints; write it anew: llamacluster metrics > docs/metrics.md");
    }
}
