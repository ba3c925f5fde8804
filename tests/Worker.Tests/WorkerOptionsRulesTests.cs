using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Worker.Tests;

public class WorkerOptionsRulesTests
{
    static readonly WorkerOptions Right = new() { Coordinator = new Uri("http://10.0.0.1:8081") };

    [Fact]
    public void FirstProblem_OfDefaults_IsNone() => Assert.Null(WorkerOptionsRules.FirstProblem(Right));

    public static TheoryData<string, WorkerOptions> Wrong => new()
    {
        { "--coordinator", Right with { Coordinator = new Uri("ftp://x") } },
        { "--listen", Right with { Listen = "nonsense" } },
        { "--listen is 'https://127.0.0.1:1'; https needs a certificate", Right with { Listen = "https://127.0.0.1:1" } },
        { "--coordinator is 'https://10.0.0.1:8081/'; it must be http: the cluster has TLS everywhere",
            Right with { Coordinator = new Uri("https://10.0.0.1:8081") } },
        { "it must be https", Right with { Tls = new TlsFiles("a", "b", "c") } },
        {
            "--listen is 'http://0.0.0.0:1'; other machines reach it, and it asks nobody who they are: add --join-token-file, or --tls-cert,",
            Right with { Listen = "http://0.0.0.0:1" }
        },
        { "--threads", Right with { Threads = -1 } },
        { "--memory", Right with { MemoryBytes = 0 } },
        { "--weights-cache-size", Right with { CacheBytes = 0 } },
        { "--kv-disk and --kv-disk-size go together", Right with { KvDiskFolder = "/disk" } },
        { "--kv-disk and --kv-disk-size go together", Right with { KvDiskBytes = 1 } },
        { "--kv-disk-size is 0", Right with { KvDiskFolder = "/disk", KvDiskBytes = 0 } },
        { "--activation-journal-size is nothing without --activation-journal", Right with { JournalBytes = 1 } },
        { "--activation-journal-size is 0", Right with { JournalFolder = "/disk", JournalBytes = 0 } },
        { "--name", Right with { Name = "two\nlines" } },
        { "--model", Right with { ModelPath = "/nowhere/model.gguf" } },
        { "PeerTimeout", Right with { PeerTimeout = TimeSpan.Zero } },
        { "DrainTimeout", Right with { DrainTimeout = Timeout.InfiniteTimeSpan } },
    };

    [Fact]
    public void An_address_that_other_machines_reach_is_allowed_where_the_coordinator_proves_who_it_is_or_somebody_said_that_it_need_not()
    {
        var open = Right with { Listen = "http://10.0.0.2:1" };
        Assert.NotNull(WorkerOptionsRules.FirstProblem(open));
        Assert.Null(WorkerOptionsRules.FirstProblem(open with { JoinTokenFile = "token" }));
        Assert.Null(WorkerOptionsRules.FirstProblem(open with { Insecure = true }));
        var certified = open with { Listen = "https://10.0.0.2:1", Coordinator = new Uri("https://10.0.0.1:8081"), Tls = new TlsFiles("a", "b", "c") };
        Assert.Null(WorkerOptionsRules.FirstProblem(certified));
    }

    [Theory]
    [MemberData(nameof(Wrong))]
    public void FirstProblem_OneOptionWrong_NamesIt(string named, WorkerOptions options)
    {
        var problem = WorkerOptionsRules.FirstProblem(options);
        Assert.Contains(named, problem);
        Assert.DoesNotContain('\n', problem!);
    }
}
