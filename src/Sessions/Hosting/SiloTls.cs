using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Orleans.Connections.Security;

namespace LlamaCluster.Sessions.Hosting;

/// <summary>TLS between silos: each shows a certificate to the other, whichever of them has called.</summary>
/// <param name="Own">What this silo shows now, for one connection.</param>
/// <param name="Accepts">Whether a certificate is that of a silo of this cluster.</param>
public sealed record SiloTls(Func<SslStreamCertificateContext> Own, Predicate<X509Certificate2> Accepts)
{
    /// <summary>The name is not checked: silos are called by address. The authority issues certificates for this cluster only.</summary>
    const string AnyName = "llamacluster";

    internal void Apply(TlsOptions options)
    {
        options.LocalServerCertificateSelector = (_, _) => Own().TargetCertificate;
        options.LocalClientCertificateSelector = (_, _, _, _, _) => Own().TargetCertificate;
        options.RemoteCertificateMode = RemoteCertificateMode.RequireCertificate;
        // To require one here, too, would be to require a certificate that never changes.
        options.ClientCertificateMode = RemoteCertificateMode.AllowCertificate;
        options.RemoteCertificateValidation = (certificate, _, _) => Accepts(certificate);
        options.SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
        options.OnAuthenticateAsClient = (_, client) => client.TargetHost = AnyName;
        // The context has what stands between the certificate and its authority, too, which a selector could not give.
        options.OnAuthenticateAsServer = (_, server) =>
        {
            var ssl = (SslServerAuthenticationOptions)server.SslServerAuthenticationOptions;
            (ssl.ServerCertificateSelectionCallback, ssl.ServerCertificateContext) = (null, Own());
        };
    }
}
