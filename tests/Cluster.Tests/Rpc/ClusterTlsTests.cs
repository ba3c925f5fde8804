using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Testing;

namespace LlamaCluster.Cluster.Tests.Rpc;

/// <summary>Certificates that change while processes run. Both ends of a connection are real.</summary>
public sealed class ClusterTlsTests : IDisposable
{
    readonly TestAuthority _authority = new();
    readonly TempFolder _folder = new();
    readonly ManualTimeProvider _time = new();
    readonly TlsFiles _files;

    public ClusterTlsTests()
    {
        _files = new TlsFiles(_folder.File("tls.crt"), _folder.File("tls.key"), _folder.File("ca.crt"));
        Put(_authority, "first");
        File.Copy(_authority.Certificate, _files.Authority);
    }

    public void Dispose()
    {
        _authority.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_new_certificate_is_shown_to_new_connections_both_ways()
    {
        using var tls = ClusterTls.Load(_files, _time);
        using var peer = Peer(_authority, _authority);
        var options = tls.ForClient("localhost");   // made once for a channel that lives long
        Assert.Equal("CN=first", (await ConnectAsync(options, peer.ForServer())).OfClient);

        Put(_authority, "second");
        Assert.Equal("CN=first", (await ConnectAsync(options, peer.ForServer())).OfClient);
        _time.Advance(WatchedFiles.LooksEvery);

        Assert.Equal("CN=second", (await ConnectAsync(options, peer.ForServer())).OfClient);
        Assert.Equal("CN=second", (await ConnectAsync(peer.ForClient("localhost"), tls.ForServer())).OfServer);
    }

    [Fact]
    public async Task Files_that_do_not_fit_change_nothing_until_they_do()
    {
        using var tls = ClusterTls.Load(_files, _time);
        using var peer = Peer(_authority, _authority);
        var key = File.ReadAllText(_files.Key);
        Put(_authority, "second");
        var second = File.ReadAllText(_files.Key);
        File.WriteAllText(_files.Key, key);
        _time.Advance(WatchedFiles.LooksEvery);

        Assert.Equal("CN=first", (await ConnectAsync(tls.ForClient("localhost"), peer.ForServer())).OfClient);

        File.WriteAllText(_files.Key, second);
        _time.Advance(WatchedFiles.LooksEvery);
        Assert.Equal("CN=second", (await ConnectAsync(tls.ForClient("localhost"), peer.ForServer())).OfClient);
    }

    [Fact]
    public async Task A_changed_authority_is_trusted_and_the_old_one_no_more()
    {
        using var other = new TestAuthority();
        using var tls = ClusterTls.Load(_files, _time);
        using var old = Peer(_authority, _authority);
        using var renewed = Peer(other, _authority);
        await Assert.ThrowsAsync<AuthenticationException>(() => ConnectAsync(tls.ForClient("localhost"), renewed.ForServer()));

        File.Copy(other.Certificate, _files.Authority, overwrite: true);
        _time.Advance(WatchedFiles.LooksEvery);

        await ConnectAsync(tls.ForClient("localhost"), renewed.ForServer());
        await Assert.ThrowsAsync<AuthenticationException>(() => ConnectAsync(tls.ForClient("localhost"), old.ForServer()));
    }

    [Fact]
    public async Task Who_is_turned_away_is_in_the_log_by_name_and_with_the_reason()
    {
        using var other = new TestAuthority();
        var log = new LogLines();
        using var tls = ClusterTls.Load(_files, _time).LogTo(log);
        using var foreign = Peer(other, _authority);
        using var expired = Peer(_authority, _authority, DateTimeOffset.UtcNow.AddHours(-1));
        var nobody = new SslClientAuthenticationOptions { TargetHost = "localhost", RemoteCertificateValidationCallback = (_, _, _, _) => true };

        foreach (var client in new[] { foreign.ForClient("localhost"), expired.ForClient("localhost"), nobody })
            await Assert.ThrowsAnyAsync<Exception>(() => ServeAsync(client, tls.ForServer()));

        Assert.Equal(3, log.Lines.Count);
        Assert.Equal("Turned a peer away that shows the certificate 'CN=peer': no authority of --tls-ca has issued it", log.Lines.ElementAt(0));
        Assert.StartsWith(
            "Turned a peer away that shows the certificate 'CN=peer': it is, or what it was issued by is, not good now; it is good from ",
            log.Lines.ElementAt(1));
        Assert.Equal("Turned a peer away that shows no certificate", log.Lines.ElementAt(2));
    }

    void Put(TestAuthority issuer, string name)
    {
        var (certificate, key) = issuer.Issue(name);
        File.Copy(certificate, _files.Certificate, overwrite: true);
        File.Copy(key, _files.Key, overwrite: true);
    }

    static ClusterTls Peer(TestAuthority issuer, TestAuthority trusted, DateTimeOffset? end = null)
    {
        var (certificate, key) = issuer.Issue("peer", end);
        return ClusterTls.Load(new TlsFiles(certificate, key, trusted.Certificate));
    }

    /// <returns>The names in the certificates that each saw of the other.</returns>
    static async Task<(string OfClient, string OfServer)> ConnectAsync(SslClientAuthenticationOptions client, SslServerAuthenticationOptions server)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var near = new TcpClient();
        var accepted = listener.AcceptTcpClientAsync();
        await near.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using var far = await accepted.Soon();
        await using var nearTls = new SslStream(near.GetStream());
        await using var farTls = new SslStream(far.GetStream());
        var serving = farTls.AuthenticateAsServerAsync(server);
        try
        {
            await nearTls.AuthenticateAsClientAsync(client).Soon();
            await serving.Soon();
            return (Name(farTls), Name(nearTls));
        }
        finally
        {
            near.Close();
            await Task.WhenAny(serving);
        }
        static string Name(SslStream stream)
        {
            using var certificate = X509CertificateLoader.LoadCertificate(stream.RemoteCertificate!.GetRawCertData());
            return certificate.Subject;
        }
    }

    /// <summary>What the server makes of a client. To the client of TLS 1.3 all looks well at first.</summary>
    static async Task ServeAsync(SslClientAuthenticationOptions client, SslServerAuthenticationOptions server)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var near = new TcpClient();
        var accepted = listener.AcceptTcpClientAsync();
        await near.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using var far = await accepted.Soon();
        await using var nearTls = new SslStream(near.GetStream());
        await using var farTls = new SslStream(far.GetStream());
        var calling = nearTls.AuthenticateAsClientAsync(client);
        try
        {
            await farTls.AuthenticateAsServerAsync(server).Soon();
        }
        finally
        {
            far.Close();
            await Task.WhenAny(calling);
        }
    }
}
