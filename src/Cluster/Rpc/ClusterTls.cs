using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// TLS between the processes of a cluster, both ways. Each process shows its certificate, and takes only a peer whose certificate was issued by
/// the cluster's own authority. The name in the certificate is not checked, because workers are reached by whatever address they have today. So
/// the authority must issue certificates for this cluster only.
/// </summary>
public sealed class ClusterTls : IDisposable
{
    const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    readonly X509Certificate2 _own;
    readonly X509Certificate2Collection _chain;
    readonly X509Certificate2Collection _authorities;
    readonly SslStreamCertificateContext _context;

    ClusterTls(X509Certificate2 own, X509Certificate2Collection chain, X509Certificate2Collection authorities)
    {
        (_own, _chain, _authorities) = (own, chain, authorities);
        _context = SslStreamCertificateContext.Create(own, chain, offline: true);
    }

    /// <exception cref="IOException">A file cannot be read or is not what it should be; the message is one line that names it.</exception>
    public static ClusterTls Load(TlsFiles files)
    {
        var own = Read(
            "--tls-cert and --tls-key", $"{files.Certificate} and {files.Key}",
            () => WithUsableKey(X509Certificate2.CreateFromPemFile(files.Certificate, files.Key)));
        var chain = Read("--tls-cert", files.Certificate, () => All(files.Certificate));
        var authorities = Read("--tls-ca", files.Authority, () => All(files.Authority));
        return new ClusterTls(own, chain, authorities);
    }

    /// <param name="host">Tells the server which of its names is meant.</param>
    public SslClientAuthenticationOptions ForClient(string host) => new()
    {
        TargetHost = host,
        ClientCertificateContext = _context,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, peer, _, _) => Accepts(peer, ServerAuthentication),
    };

    /// <summary>A client without a certificate is turned away.</summary>
    public SslServerAuthenticationOptions ForServer() => new()
    {
        ServerCertificateContext = _context,
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, peer, _, _) => Accepts(peer, ClientAuthentication),
    };

    public void Dispose()
    {
        foreach (var certificate in _chain.Concat(_authorities).Append(_own)) certificate.Dispose();
    }

    bool Accepts(X509Certificate? peer, string usage)
    {
        if (peer is null) return false;
        using var chain = new X509Chain
        {
            ChainPolicy =
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            },
        };
        chain.ChainPolicy.CustomTrustStore.AddRange(_authorities);
        chain.ChainPolicy.ExtraStore.AddRange(_chain);
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(usage));
        using var copy = X509CertificateLoader.LoadCertificate(peer.GetRawCertData());
        return chain.Build(copy);
    }

    // On some systems TLS cannot use a key that exists in memory only.
    static X509Certificate2 WithUsableKey(X509Certificate2 fromPem)
    {
        if (!OperatingSystem.IsWindows()) return fromPem;
        using (fromPem) return X509CertificateLoader.LoadPkcs12(fromPem.Export(X509ContentType.Pkcs12), null);
    }

    static X509Certificate2Collection All(string file)
    {
        var all = new X509Certificate2Collection();
        all.ImportFromPemFile(file);
        return all.Count > 0 ? all : throw new CryptographicException("there is no certificate in it");
    }

    static T Read<T>(string option, string file, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{option}: cannot use {file}: {e.Message.ReplaceLineEndings(" ")}");
        }
    }
}

/// <summary>The files that a process of the cluster proves itself with, all PEM.</summary>
/// <param name="Certificate">Its own certificate, and those between it and the authority, if there are any.</param>
/// <param name="Key">The certificate's private key.</param>
/// <param name="Authority">Certificates of the authorities that this cluster trusts, and no others.</param>
public sealed record TlsFiles(string Certificate, string Key, string Authority)
{
    /// <summary>All three files, or none (null).</summary>
    /// <returns>False if only some are given; <paramref name="problem"/> says, in one line, which are missing.</returns>
    public static bool TryCreate(string? certificate, string? key, string? authority, out TlsFiles? files, [NotNullWhen(false)] out string? problem)
    {
        (string Option, string? Value)[] options = [("--tls-cert", certificate), ("--tls-key", key), ("--tls-ca", authority)];
        var missing = options.Where(option => option.Value is null).Select(option => option.Option).ToArray();
        files = missing.Length == 0 ? new TlsFiles(certificate!, key!, authority!) : null;
        problem = missing.Length is 0 or 3 ? null : $"{string.Join(" and ", missing)} must be given too: --tls-cert, --tls-key and --tls-ca go together";
        return problem is null;
    }
}
