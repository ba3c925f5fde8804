using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>What a process shows to the other end of a connection.</summary>
/// <param name="Certificate">With its key.</param>
/// <param name="Chain">Of the same file: this one, and those between it and the authority.</param>
/// <param name="Context">For servers.</param>
public sealed record OwnCertificate(X509Certificate2 Certificate, X509Certificate2Collection Chain, SslStreamCertificateContext Context) : IDisposable
{
    /// <exception cref="IOException">A file cannot be read or is not what it should be; the message is one line that names it.</exception>
    public static OwnCertificate Read(string certificateOption, string certificate, string keyOption, string key)
    {
        var own = Read(
            $"{certificateOption} and {keyOption}", $"{certificate} and {key}", () => WithUsableKey(X509Certificate2.CreateFromPemFile(certificate, key)));
        var chain = Read(certificateOption, certificate, () => All(certificate));
        return new OwnCertificate(own, chain, SslStreamCertificateContext.Create(own, chain, offline: true));
    }

    /// <summary>For a server that anybody may call: clients show no certificate.</summary>
    public SslServerAuthenticationOptions ForAnyClient() => new()
    {
        ServerCertificateContext = Context,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
    };

    public void Dispose()
    {
        foreach (var certificate in Chain) certificate.Dispose();
        Certificate.Dispose();
    }

    /// <summary>For people.</summary>
    public override string ToString() => $"the certificate of {Certificate.Subject}, good until {Certificate.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm} UTC";

    /// <summary>All certificates of a PEM file.</summary>
    internal static X509Certificate2Collection All(string file)
    {
        var all = new X509Certificate2Collection();
        all.ImportFromPemFile(file);
        return all.Count > 0 ? all : throw new CryptographicException("there is no certificate in it");
    }

    internal static T Read<T>(string option, string file, Func<T> read)
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

    // On some systems TLS cannot use a key that exists in memory only.
    static X509Certificate2 WithUsableKey(X509Certificate2 fromPem)
    {
        if (!OperatingSystem.IsWindows()) return fromPem;
        using (fromPem) return X509CertificateLoader.LoadPkcs12(fromPem.Export(X509ContentType.Pkcs12), null);
    }
}
