namespace LlamaCluster.Worker.Links;

/// <summary>What ranks of a stage exchange their partial sums over.</summary>
public enum PeerLinkPreference
{
    /// <summary>Whatever is faster between the two; measured when they connect.</summary>
    Auto,

    /// <summary>A gRPC stream: the same port as everything else.</summary>
    Grpc,

    /// <summary>A TCP connection of its own, on a port that the other rank names.</summary>
    Tcp,
}
