using System.Security.Cryptography.X509Certificates;
using LlamaCluster.Testing;

namespace LlamaCluster.Cli.Tests.Certificates;

public sealed class AuthorityCommandTests : IDisposable
{
    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task An_authority_issues_certificates_that_it_vouches_for()
    {
        Assert.Equal(new(0, $"{_folder.File("ca.pem")}\n", ""), await CommandRun.OfAsync("", "ca", "init", "--dir", _folder.Path));
        var run = await CommandRun.OfAsync(
            "", "ca", "issue", "--dir", _folder.Path, "--name", "worker-1", "--out", _folder.File("out"), "--host", "10.0.0.7", "--host", "node-7");

        Assert.Equal((0, $"{_folder.File("out/worker-1.pem")}\n{_folder.File("out/worker-1.key")}\n", ""), (run.ExitCode, run.Output, run.Error));
        using var authority = X509CertificateLoader.LoadCertificateFromFile(_folder.File("ca.pem"));
        using var issued = X509Certificate2.CreateFromPemFile(_folder.File("out/worker-1.pem"), _folder.File("out/worker-1.key"));
        foreach (var usage in new[] { "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2" })
        {
            using var chain = new X509Chain { ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck } };
            chain.ChainPolicy.CustomTrustStore.Add(authority);
            chain.ChainPolicy.ApplicationPolicy.Add(new(usage));
            Assert.True(chain.Build(issued), string.Join(", ", chain.ChainStatus.Select(status => status.StatusInformation)));
        }
        Assert.True(issued.MatchesHostname("node-7"));
        Assert.True(issued.MatchesHostname("10.0.0.7"));
        if (!OperatingSystem.IsWindows())
            foreach (var key in new[] { "ca.key", "out/worker-1.key" })
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder.File(key)));
    }

    [Fact]
    public async Task A_certificate_is_issued_again_in_place_of_the_old_one()
    {
        await CommandRun.OfAsync("", "ca", "init", "--dir", _folder.Path);
        string[] issue = ["ca", "issue", "--dir", _folder.Path, "--name", "node"];
        await CommandRun.OfAsync("", issue);
        var first = await File.ReadAllTextAsync(_folder.File("node.pem"));

        Assert.Equal(0, (await CommandRun.OfAsync("", issue)).ExitCode);

        Assert.NotEqual(first, await File.ReadAllTextAsync(_folder.File("node.pem")));
        Assert.Equal(["ca.key", "ca.pem", "node.key", "node.pem"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task An_authority_is_never_replaced()
    {
        await CommandRun.OfAsync("", "ca", "init", "--dir", _folder.Path);

        var run = await CommandRun.OfAsync("", "ca", "init", "--dir", _folder.Path);

        Assert.Equal(1, run.ExitCode);
        Assert.StartsWith($"error: {_folder.File("ca.pem")} is there already", run.ErrorLine);
    }

    [Theory]
    [InlineData(1, "has no authority: make one with `llamacluster ca init", "--name", "a")]
    [InlineData(2, "--name is ca; that is the authority's own", "--name", "ca")]
    [InlineData(2, "--name is '../a'; it must have 1 to 64 characters that a file's name may have", "--name", "../a")]
    [InlineData(2, "--days is 0; it must be from 1 to 36500", "--name", "a", "--days", "0")]
    [InlineData(2, "--host is 'a b'; it must be a name", "--name", "a", "--host", "a b")]
    public async Task What_cannot_be_issued_is_one_line(int exitCode, string problem, params string[] args)
    {
        var run = await CommandRun.OfAsync("", ["ca", "issue", "--dir", _folder.Path, .. args]);

        Assert.Equal((exitCode, ""), (run.ExitCode, run.Output));
        Assert.Contains(problem, run.ErrorLine);
    }

    [Fact]
    public async Task A_certificate_ends_before_its_authority()
    {
        await CommandRun.OfAsync("", "ca", "init", "--dir", _folder.Path, "--days", "10");

        var run = await CommandRun.OfAsync("", "ca", "issue", "--dir", _folder.Path, "--name", "node", "--days", "11");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("give fewer --days", run.ErrorLine);
    }
}
