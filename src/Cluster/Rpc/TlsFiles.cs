using System.Diagnostics.CodeAnalysis;

namespace LlamaCluster.Cluster.Rpc;

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
