using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Hosting;

/// <summary>The API over TLS, for clients that know its authority.</summary>
public sealed class ApiCertificateTests : IDisposable
{
    readonly TestAuthority _authority = new();
    readonly TempFolder _folder = new();
    readonly ManualTimeProvider _time = new();

    ApiCertificateFiles Files => new(_folder.File("api.pem"), _folder.File("api.key"));

    public ApiCertificateTests() => Put("first");

    public void Dispose()
    {
        _authority.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Clients_come_by_https_and_new_connections_see_a_new_certificate()
    {
        await using var host = CoordinatorHost.Create(Options(Files, "https://127.0.0.1:0"), _time);
        await host.StartAsync();
        Assert.Equal("https", host.ApiAddress.Scheme);
        Assert.Equal("CN=first", await SubjectAsync(host.ApiAddress));
        Put("second");
        _time.Advance(WatchedFiles.LooksEvery);
        Assert.Equal("CN=second", await SubjectAsync(host.ApiAddress));
    }

    [Fact]
    public async Task Plain_HTTP_is_not_answered()
    {
        await using var host = CoordinatorHost.Create(Options(Files, "https://127.0.0.1:0"), _time);
        await host.StartAsync();
        using var http = new HttpClient(HttpHandlers.Direct()) { Timeout = WaitExtensions.Deadline };
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync($"http://{host.ApiAddress.Authority}/health"));
    }

    [Fact]
    public void An_address_and_a_certificate_that_do_not_go_together_are_one_line()
    {
        Assert.Equal(
            "--listen is 'https://127.0.0.1:0'; https needs a certificate: give --api-cert and --api-cert-key too",
            Assert.Throws<InvalidOptionsException>(() => CoordinatorHost.Create(Options(null, "https://127.0.0.1:0"))).Message);
        Assert.StartsWith(
            "--listen is 'http://127.0.0.1:0'; it must be like https://",
            Assert.Throws<InvalidOptionsException>(() => CoordinatorHost.Create(Options(Files, "http://127.0.0.1:0"))).Message);
        var missing = Files with { Key = _folder.File("none") };
        Assert.StartsWith(
            $"--api-cert-key: cannot use {missing.Key}: ",
            Assert.Throws<IOException>(() => CoordinatorHost.Create(Options(missing, "https://127.0.0.1:0"))).Message);
    }

    static CoordinatorOptions Options(ApiCertificateFiles? files, string listen) =>
        TestCluster.Options with { Listen = listen, Api = TestCluster.Options.Api with { Certificate = files } };

    void Put(string name)
    {
        var (certificate, key) = _authority.Issue(name);
        File.Copy(key, Files.Key, overwrite: true);
        File.Copy(certificate, Files.Certificate, overwrite: true);
    }

    async Task<string> SubjectAsync(Uri api)
    {
        using var trusted = X509CertificateLoader.LoadCertificateFromFile(_authority.Certificate);
        var subject = "";
        using var handler = HttpHandlers.Direct();
        handler.SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                CustomTrustStore = { trusted },
            },
            RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
            {
                subject = certificate!.Subject;
                return errors == SslPolicyErrors.None;
            },
        };
        using var http = new HttpClient(handler) { BaseAddress = api, Timeout = WaitExtensions.Deadline };
        Assert.Contains("alive", await http.GetStringAsync("/health"));
        return subject;
    }
}
