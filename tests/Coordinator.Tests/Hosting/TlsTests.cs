using Grpc.Core;
using Grpc.Health.V1;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Hosting;

/// <summary>A cluster with certificates: everything within it is encrypted, and nobody else is let in.</summary>
public sealed class TlsTests
{
    [Fact]
    public async Task A_cluster_with_certificates_works_as_one_without()
    {
        using var authority = new TestAuthority();
        await using var plain = await RealCluster.StartAsync(1);
        await using var cluster = await StartAsync(authority, workers: 3, ranks: 2);
        Assert.Equal("https", cluster.Coordinator.Host.GrpcAddress.Scheme);
        Assert.All(cluster.Coordinator.Host.Status.Value.Shards, shard => Assert.Equal("https", shard.Address.Scheme));
        var request = TestCluster.Request([5, 6, 7], 20);
        Assert.Equal(await plain.Coordinator.TokensAsync(request), await cluster.Coordinator.TokensAsync(request));
    }

    /// <summary>At the coordinator's door and at a worker's.</summary>
    [Fact]
    public async Task Whoever_the_authority_does_not_vouch_for_is_not_heard()
    {
        using var authority = new TestAuthority();
        using var another = new TestAuthority();
        await using var cluster = await StartAsync(authority, workers: 1);
        using var member = ClusterTls.Load(Files(authority, authority, "member"));
        using var stranger = ClusterTls.Load(Files(another, authority, "stranger"));
        using var expired = ClusterTls.Load(Files(authority, authority, "expired", DateTimeOffset.UtcNow.AddHours(-1)));
        Uri[] doors = [cluster.Coordinator.Host.GrpcAddress, cluster.Coordinator.Host.Status.Value.Shards[0].Address];
        foreach (var door in doors)
        {
            await CheckAsync(member, door);
            foreach (var tls in new[] { stranger, expired, null })
                await AssertNoConnectionAsync(tls, door);
        }
    }

    [Fact]
    public async Task A_worker_does_not_speak_to_a_coordinator_of_another_authority()
    {
        using var authority = new TestAuthority();
        using var another = new TestAuthority();
        await using var coordinator = CoordinatorHost.Create(Options(Files(another, another, "coordinator")));
        await coordinator.StartAsync();
        using var tls = ClusterTls.Load(Files(authority, authority, "worker"));
        await AssertNoConnectionAsync(tls, coordinator.GrpcAddress);
    }

    [Fact]
    public void A_file_that_is_no_certificate_is_one_line()
    {
        using var authority = new TestAuthority();
        using var folder = new TempFolder();
        var files = Files(authority, authority, "node");
        File.WriteAllText(folder.File("empty.pem"), "");
        foreach (var wrong in new[]
        {
            files with { Certificate = folder.File("none.pem") },
            files with { Key = folder.File("empty.pem") },
            files with { Authority = folder.File("empty.pem") },
        })
        {
            var error = Assert.Throws<IOException>(() => ClusterTls.Load(wrong));
            Assert.StartsWith("--tls-c", error.Message);
            Assert.Contains(folder.Path, error.Message);
            Assert.DoesNotContain('\n', error.Message);
        }
    }

    static Task<RealCluster> StartAsync(TestAuthority authority, int workers, int ranks = 1)
    {
        var worker = 0;
        return RealCluster.StartAsync(workers, Options(Files(authority, authority, "coordinator")) with { TensorParallel = ranks }, usual => usual with
        {
            Listen = "https://127.0.0.1:0",
            Tls = Files(authority, authority, $"worker{worker++}"),
        });
    }

    static CoordinatorOptions Options(TlsFiles tls) => TestCluster.Options with { GrpcListen = "https://127.0.0.1:0", Tls = tls };

    static TlsFiles Files(TestAuthority issuer, TestAuthority trusted, string name, DateTimeOffset? end = null)
    {
        var (certificate, key) = issuer.Issue(name, end);
        return new TlsFiles(certificate, key, trusted.Certificate);
    }

    /// <summary>It fails beneath the call, not by an answer to it.</summary>
    static async Task AssertNoConnectionAsync(ClusterTls? tls, Uri address) =>
        Assert.NotNull((await Assert.ThrowsAsync<RpcException>(() => CheckAsync(tls, address))).Status.DebugException);

    /// <summary>Any call that both answer.</summary>
    static async Task CheckAsync(ClusterTls? tls, Uri address)
    {
        using var channel = new PeerChannels(tls).Open(address);
        await new Health.HealthClient(channel).CheckAsync(new(), deadline: DateTime.UtcNow + WaitExtensions.Deadline);
    }
}
