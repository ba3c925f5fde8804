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
/// </summary>
public sealed partial class ClusterTls : IDisposable
{
    const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <summary>Looking costs three small reads, at the beginning of a connection and no more often than this.</summary>
    public static readonly TimeSpan LooksEvery = TimeSpan.FromSeconds(10);

    readonly TlsFiles _files;
    readonly TimeProvider _time;
    readonly Lock _looking = new();
    ILogger _logger = NullLogger.Instance;
    TlsCertificates _current;
    long _looked;
    string _problem = "";

    ClusterTls(TlsFiles files, TlsCertificates certificates, TimeProvider time)
    {
        (_files, _current, _time) = (files, certificates, time);
        _looked = time.GetTimestamp();
    }

    /// <exception cref="IOException">A file cannot be read or is not what it should be; the message is one line that names it.</exception>
    public static ClusterTls Load(TlsFiles files, TimeProvider? time = null) => new(files, TlsCertificates.Read(files), time ?? TimeProvider.System);

    /// <summary>Where it is said that certificates were changed, or could not be.</summary>
    public ClusterTls LogTo(ILogger<ClusterTls> logger)
    {
        _logger = logger;
        return this;
    }

    /// <summary>Of the connections that begin with these options, each has the certificate of its time.</summary>
    /// <param name="host">Tells the server which of its names is meant.</param>
    public SslClientAuthenticationOptions ForClient(string host) => new()
    {
        TargetHost = host,
        LocalCertificateSelectionCallback = (_, _, _, _, _) => Current().Own,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, peer, _, _) => Accepts(peer, ServerAuthentication),
    };

    /// <summary>For one connection. A client without a certificate is turned away.</summary>
    public SslServerAuthenticationOptions ForServer() => new()
    {
        ServerCertificateContext = Current().Context,
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, peer, _, _) => Accepts(peer, ClientAuthentication),
    };

    public void Dispose() => _current.Dispose();

    bool Accepts(X509Certificate? peer, string usage)
    {
        if (peer is null) return false;
        var now = Current();
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
        chain.ChainPolicy.ExtraStore.AddRange(now.Chain);
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(usage));
        using var copy = X509CertificateLoader.LoadCertificate(peer.GetRawCertData());
        return chain.Build(copy);
    }

    /// <summary>What is in the files, as of the last look. Certificates that others may still use are left to the garbage collector.</summary>
    TlsCertificates Current()
    {
        lock (_looking)
        {
            if (_time.GetElapsedTime(_looked) < LooksEvery) return _current;
            _looked = _time.GetTimestamp();
            try
            {
                if (TlsCertificates.Fingerprint(_files) == _current.Files) return _current;
                _current = TlsCertificates.Read(_files);
                _problem = "";
                LogChanged(_files.Certificate, _current.Own.NotAfter.ToUniversalTime());
            }
            catch (IOException e)
            {
                if (e.Message != _problem) LogNotChanged(_current.Own.NotAfter.ToUniversalTime(), e.Message);
                _problem = e.Message;
            }
            return _current;
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "New connections have the certificate in {File}, which is good until {End:yyyy-MM-dd HH:mm} UTC")]
    partial void LogChanged(string file, DateTime end);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Certificates have changed and cannot be used; the old ones stay, good until {End:yyyy-MM-dd HH:mm} UTC: {Problem}")]
    partial void LogNotChanged(DateTime end, string problem);
}

/// <summary>What was read from <see cref="TlsFiles"/> at one time.</summary>
/// <param name="Files">Tells whether they have changed since.</param>
/// <param name="Own">With its key.</param>
/// <param name="Chain">Of the same file: the own one, and those between it and the authority.</param>
sealed record TlsCertificates(
    string Files, X509Certificate2 Own, X509Certificate2Collection Chain, X509Certificate2Collection Authorities, SslStreamCertificateContext Context)
    : IDisposable
{
    /// <exception cref="IOException">A file cannot be read or is not what it should be; the message is one line that names it.</exception>
    public static TlsCertificates Read(TlsFiles files)
    {
        var fingerprint = Fingerprint(files);
        var own = Read(
            "--tls-cert and --tls-key", $"{files.Certificate} and {files.Key}",
            () => WithUsableKey(X509Certificate2.CreateFromPemFile(files.Certificate, files.Key)));
        var chain = Read("--tls-cert", files.Certificate, () => All(files.Certificate));
        var authorities = Read("--tls-ca", files.Authority, () => All(files.Authority));
        return new TlsCertificates(fingerprint, own, chain, authorities, SslStreamCertificateContext.Create(own, chain, offline: true));
    }

    /// <summary>A hash of what is in the files. Their times say less: Kubernetes changes a link to a folder that has other files.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static string Fingerprint(TlsFiles files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        (string Option, string File)[] all = [("--tls-cert", files.Certificate), ("--tls-key", files.Key), ("--tls-ca", files.Authority)];
        foreach (var (option, file) in all) hash.AppendData(SHA256.HashData(Read(option, file, () => File.ReadAllBytes(file))));
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    public void Dispose()
    {
        foreach (var certificate in Chain.Concat(Authorities).Append(Own)) certificate.Dispose();
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
        // An ArgumentException is how a key of another certificate is told.
        catch (Exception e) when (e is CryptographicException or ArgumentException or IOException or UnauthorizedAccessException)
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
