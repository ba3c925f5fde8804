namespace LlamaCluster.Cluster;

/// <summary>An address that other machines reach must ask who comes, unless somebody has said that it need not.</summary>
public static class Exposure
{
    public const string Option = "--insecure";

    /// <summary>What makes the cluster's own addresses ask.</summary>
    public const string MemberProofs = "--join-token-file, or --tls-cert, --tls-key and --tls-ca";

    /// <summary>Why the address must not be listened on, as the second half of a sentence; null if it may be.</summary>
    /// <param name="listen">An address without a problem of its own (see <see cref="ListenAddress.FirstProblem(string, bool)"/>).</param>
    /// <param name="asks">Whoever comes must prove something: a key, a token, a certificate.</param>
    /// <param name="remedy">The options that would make it ask.</param>
    /// <param name="allowed">The operator gave <see cref="Option"/>.</param>
    public static string? Problem(string listen, bool asks, string remedy, bool allowed) => allowed || asks || ListenAddress.Parse(listen).IsLoopback
        ? null
        : $"other machines reach it, and it asks nobody who they are: add {remedy}; or {Option} where everybody on the network may use it";
}
