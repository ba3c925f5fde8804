namespace LlamaCluster.Cluster;

/// <summary>The version of the protocols in src/Protos. Processes of different versions do not work together: Register refuses.</summary>
public static class ProtocolVersion
{
    public const uint Current = 2;
}
