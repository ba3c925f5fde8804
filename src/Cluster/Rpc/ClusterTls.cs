using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// TLS between the processes of a cluster, both ways. Each process shows its certificate, and takes only a peer whose certificate was issued by
/// the cluster's own authority. The name in the certificate is not checked, because workers are reached by whatever address they have today. So
/// the authority must issue certificates for this cluster only.
/// <para>
/// Files that change are read again: connections that begin later have the new certificate and trust the new authorities. Files that cannot be used,
/// or that do not fit each other, change nothing; a certificate and its key may be seen while only one of them is new.
/// </para>
/// <para>A peer that is turned away is in the log, by the name in its certificate, with what is wrong with it.</para>
/// </summary>
public sealed partial class ClusterTls : IDisposable
{
    const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    const int LongestName = 200;

    readonly WatchedFiles<TlsCertificates> _files;
    ILogger _logger = NullLogger.Instance;

    ClusterTls(TlsFiles files, TimeProvider time) => _files = new(
        [new("--tls-cert", files.Certificate), new("--tls-key", files.Key), new("--tls-ca", files.Authority)], () => TlsCertificates.Read(files), time);

    /// <exception cref="IOException">A file cannot be read or is not what it should be; the message is one line that names it.</exception>
    public static ClusterTls Load(TlsFiles files, TimeProvider? time = null) => new(files, time ?? TimeProvider.System);

    /// <summary>Where it is said that certificates were changed, or could not be, and who was turned away.</summary>
    public ClusterTls LogTo(ILogger logger)
    {
        _files.LogTo(_logger = logger);
        return this;
    }

    /// <summary>Of the connections that begin with these options, each has the certificate of its time.</summary>
    /// <param name="host">Tells the server which of its names is meant.</param>
    public SslClientAuthenticationOptions ForClient(string host) => new()
    {
        TargetHost = host,
        LocalCertificateSelectionCallback = (_, _, _, _, _) => _files.Current().Own.Certificate,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, peer, _, _) => Accepts(peer, ServerAuthentication),
    };

    /// <summary>For one connection. A client without a certificate is turned away.</summary>
    public SslServerAuthenticationOptions ForServer() => new()
    {
        ServerCertificateContext = _files.Current().Own.Context,
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, peer, _, _) => Accepts(peer, ClientAuthentication),
    };

    /// <summary>For a library that makes its own connections: the certificate that this process shows, with those between it and the authority.</summary>
    public SslStreamCertificateContext ForPeer() => _files.Current().Own.Context;

    /// <summary>Whether a certificate is that of a process of this cluster, which may call and be called.</summary>
    public bool IsPeer(X509Certificate2 peer) => Accepts(peer, ServerAuthentication, ClientAuthentication);

    public void Dispose() => _files.Current().Dispose();

    bool Accepts(X509Certificate? peer, params string[] usages)
    {
        if (peer is null)
        {
            LogNone();
            return false;
        }
        var now = _files.Current();
        using var chain = new X509Chain
        {
            ChainPolicy =
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            },
        };
        chain.ChainPolicy.CustomTrustStore.AddRange(now.Authorities);
        chain.ChainPolicy.ExtraStore.AddRange(now.Own.Chain);
        foreach (var usage in usages) chain.ChainPolicy.ApplicationPolicy.Add(new Oid(usage));
        using var copy = X509CertificateLoader.LoadCertificate(peer.GetRawCertData());
        if (chain.Build(copy)) return true;
        LogRefused(NameIn(copy), string.Join(", ", chain.ChainStatus.Select(status => ProblemOf(status, copy, usages)).Distinct()));
        return false;
    }

    static string ProblemOf(X509ChainStatus status, X509Certificate2 certificate, string[] usages) => status.Status switch
    {
        X509ChainStatusFlags.NotTimeValid =>
            $"it is, or what it was issued by is, not good now; it is good from {certificate.NotBefore:u} to {certificate.NotAfter:u}",
        X509ChainStatusFlags.PartialChain or X509ChainStatusFlags.UntrustedRoot => "no authority of --tls-ca has issued it",
        X509ChainStatusFlags.NotValidForUsage =>
            $"it is not for {string.Join(" and ", usages.Select(usage => usage == ClientAuthentication ? "clients" : "servers"))}",
        var other => other.ToString(),
    };

    /// <summary>Whoever made the certificate chose the name.</summary>
    static string NameIn(X509Certificate2 certificate) =>
        new([.. certificate.Subject.Take(LongestName).Select(letter => char.IsControl(letter) ? '?' : letter)]);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Turned a peer away that shows no certificate")]
    partial void LogNone();

    [LoggerMessage(Level = LogLevel.Warning, Message = "Turned a peer away that shows the certificate '{Name}': {Problem}")]
    partial void LogRefused(string name, string problem);
}

/// <summary>What was read from <see cref="TlsFiles"/> at one time.</summary>
sealed record TlsCertificates(OwnCertificate Own, X509Certificate2Collection Authorities) : IDisposable
{
    /// <exception cref="IOException">A file cannot be read or is not what it should be; the message is one line that names it.</exception>
    public static TlsCertificates Read(TlsFiles files) => new(
        OwnCertificate.Read("--tls-cert", files.Certificate, "--tls-key", files.Key),
        OwnCertificate.Read("--tls-ca", files.Authority, () => OwnCertificate.All(files.Authority)));

    public void Dispose()
    {
        foreach (var certificate in Authorities) certificate.Dispose();
        Own.Dispose();
    }

    public override string ToString() => Own.ToString();
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
