using System.CommandLine;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>The certificates of a process of the cluster: three options that go together.</summary>
sealed class TlsOptions
{
    readonly Option<string?> _certificate = new("--tls-cert") { HelpName = "FILE", Description = "this process's certificate (PEM), for traffic within the cluster" };
    readonly Option<string?> _key = new("--tls-key") { HelpName = "FILE", Description = "the certificate's private key (PEM)" };
    readonly Option<string?> _authority = new("--tls-ca") { HelpName = "FILE", Description = "the cluster's own authority (PEM): whoever has a certificate of it is a member" };

    public IEnumerable<Option> All => [_certificate, _key, _authority];

    /// <returns>Null if none are given.</returns>
    /// <exception cref="InvalidOptionsException">Only some are.</exception>
    public TlsFiles? Read(ParseResult parsed) =>
        TlsFiles.TryCreate(parsed.GetValue(_certificate), parsed.GetValue(_key), parsed.GetValue(_authority), out var files, out var problem)
            ? files
            : throw new InvalidOptionsException(problem);

    /// <summary>What an address begins with where none was given.</summary>
    public static string SchemeOf(TlsFiles? files) => files is null ? Uri.UriSchemeHttp : Uri.UriSchemeHttps;
}
