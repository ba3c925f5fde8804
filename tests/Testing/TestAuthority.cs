using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace LlamaCluster.Testing;

/// <summary>A certificate authority for one test, and the PEM files of whom it vouches for.</summary>
public sealed class TestAuthority : IDisposable
{
    static readonly DateTimeOffset Begin = DateTimeOffset.UtcNow.AddDays(-1);
    static readonly DateTimeOffset End = DateTimeOffset.UtcNow.AddDays(1);

    readonly TempFolder _folder = new();
    readonly X509Certificate2 _own;

    public TestAuthority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=test authority {Guid.NewGuid():N}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        _own = request.CreateSelfSigned(Begin, End);
        File.WriteAllText(InFolder("ca.pem"), _own.ExportCertificatePem());
    }

    /// <summary>The authority's own certificate.</summary>
    public string Certificate => InFolder("ca.pem");

    /// <summary>Issues a certificate for a process of loopback.</summary>
    /// <returns>The files of certificate and key.</returns>
    public (string Certificate, string Key) Issue(string name, DateTimeOffset? end = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new("1.3.6.1.5.5.7.3.1"), new("1.3.6.1.5.5.7.3.2")], critical: false));
        using var issued = request.Create(_own, Begin, end ?? End, Guid.NewGuid().ToByteArray());
        File.WriteAllText(InFolder($"{name}.pem"), issued.ExportCertificatePem());
        File.WriteAllText(InFolder($"{name}.key"), key.ExportPkcs8PrivateKeyPem());
        return (InFolder($"{name}.pem"), InFolder($"{name}.key"));
    }

    public void Dispose()
    {
        _own.Dispose();
        _folder.Dispose();
    }

    string InFolder(string name) => _folder.File(name);
}
