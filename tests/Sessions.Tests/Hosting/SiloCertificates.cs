using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using LlamaCluster.Sessions.Hosting;
using LlamaCluster.Testing;

namespace LlamaCluster.Sessions.Tests.Hosting;

/// <summary>What an authority makes possible for silos.</summary>
static class SiloCertificates
{
    public static SiloTls Silo(this TestAuthority authority, string name)
    {
        var (certificate, key) = authority.Issue(name);
        var context = SslStreamCertificateContext.Create(X509Certificate2.CreateFromPemFile(certificate, key), null, offline: true);
        return new SiloTls(() => context, peer => IsOf(authority, peer));
    }

    /// <summary>Whether a silo takes the connection of a caller that shows a certificate of the authority, or none.</summary>
    public static async Task<bool> CanGreetAsync(this TestAuthority authority, IPEndPoint silo, bool withCertificate)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(silo).Soon();
        await using var stream = new SslStream(socket.GetStream(), leaveInnerStreamOpen: false, (_, _, _, _) => true);
        var (certificate, key) = authority.Issue("caller");
        using var own = X509Certificate2.CreateFromPemFile(certificate, key);
        var options = new SslClientAuthenticationOptions { TargetHost = "silo", ClientCertificates = withCertificate ? [own] : [] };
        try
        {
            await stream.AuthenticateAsClientAsync(options).Soon();
            // With TLS 1.3 the server looks at the certificate later; a silo then speaks first.
            return await stream.ReadAsync(new byte[1]).AsTask().Soon() > 0;
        }
        catch (Exception refused) when (refused is IOException or AuthenticationException)
        {
            return false;
        }
    }

    static bool IsOf(TestAuthority authority, X509Certificate2 certificate)
    {
        using var root = X509CertificateLoader.LoadCertificateFromFile(authority.Certificate);
        using var chain = new X509Chain { ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck } };
        chain.ChainPolicy.CustomTrustStore.Add(root);
        return chain.Build(certificate);
    }
}
