using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Certificates;

/// <summary>
/// A cluster's own certificate authority, for machines where nothing else issues certificates: ca.pem and ca.key in a folder. Keys are ECDSA P-256, files
/// are PEM, and a key's file is for its owner alone.
/// </summary>
sealed class CertificateAuthority(string folder, TimeProvider time)
{
    const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <summary>Clocks of other machines may be so far behind.</summary>
    static readonly TimeSpan ClockSkew = TimeSpan.FromHours(1);

    public string CertificateFile => Path.Combine(folder, "ca.pem");

    string KeyFile => Path.Combine(folder, "ca.key");

    /// <summary>Makes the authority.</summary>
    /// <exception cref="CommandFailedException">There is one in the folder.</exception>
    public void Create(string name, int days)
    {
        foreach (var file in new[] { CertificateFile, KeyFile })
            if (File.Exists(file))
                throw new CommandFailedException(
                    $"{file} is there already: a new authority would make all certificates of the old one worthless; give another folder");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(new X500DistinguishedName($"CN={Quoted(name)}"), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(
            certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        using var certificate = request.CreateSelfSigned(Begin, Begin + TimeSpan.FromDays(days));
        Directory.CreateDirectory(folder);
        WriteKey(KeyFile, key);
        File.WriteAllText(CertificateFile, certificate.ExportCertificatePem() + "\n");
    }

    /// <summary>
    /// Issues a certificate for a process of the cluster, which is a server to some of the others and a client to others. Files of that name are replaced,
    /// each at once, the key first: a process that sees only one of them has a pair that does not fit, and keeps what it had.
    /// </summary>
    /// <param name="hosts">Names and addresses to put into it. The cluster's processes look at the authority only, other tools look at names.</param>
    /// <returns>The files of certificate and key.</returns>
    /// <exception cref="CommandFailedException">There is no authority in the folder, or its certificate is over before the new one's.</exception>
    public (string Certificate, string Key) Issue(string name, string target, int days, IEnumerable<string> hosts)
    {
        using var own = Open();
        var end = Begin + TimeSpan.FromDays(days);
        if (end > own.NotAfter)
            throw new CommandFailedException($"the authority's own certificate, {CertificateFile}, ends on {own.NotAfter:yyyy-MM-dd}: give fewer --days");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(new X500DistinguishedName($"CN={Quoted(name)}"), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new(ServerAuthentication), new(ClientAuthentication)], critical: false));
        request.CertificateExtensions.Add(NamesOf(hosts));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(
            own, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        using var issued = request.Create(own, Begin, end, RandomNumberGenerator.GetBytes(16));
        Directory.CreateDirectory(target);
        var (certificateFile, keyFile) = (Path.Combine(target, $"{name}.pem"), Path.Combine(target, $"{name}.key"));
        WriteKey(keyFile, key);
        Replace(certificateFile, file => File.WriteAllText(file, issued.ExportCertificatePem() + "\n"));
        return (certificateFile, keyFile);
    }

    DateTimeOffset Begin => time.GetUtcNow() - ClockSkew;

    X509Certificate2 Open()
    {
        if (!File.Exists(CertificateFile) || !File.Exists(KeyFile))
            throw new CommandFailedException($"{folder} has no authority: make one with `llamacluster ca init --dir {folder}`");
        try
        {
            return X509Certificate2.CreateFromPemFile(CertificateFile, KeyFile);
        }
        catch (CryptographicException e)
        {
            throw new CommandFailedException($"{CertificateFile} and {KeyFile} cannot be used: {e.Message}");
        }
    }

    static X509Extension NamesOf(IEnumerable<string> hosts)
    {
        var names = new SubjectAlternativeNameBuilder();
        foreach (var host in hosts)
            if (IPAddress.TryParse(host, out var address)) names.AddIpAddress(address);
            else names.AddDnsName(host);
        return names.Build();
    }

    static void WriteKey(string path, ECDsa key) => Replace(path, file =>
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var writer = new StreamWriter(file, options);
        writer.WriteLine(key.ExportPkcs8PrivateKeyPem());
    });

    static void Replace(string path, Action<string> write)
    {
        var unfinished = $"{path}.{Guid.NewGuid():N}";
        write(unfinished);
        File.Move(unfinished, path, overwrite: true);
    }

    static string Quoted(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
