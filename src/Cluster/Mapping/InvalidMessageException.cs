namespace LlamaCluster.Cluster.Mapping;

/// <summary>
/// Something that came from the network is not what the protocol allows. The message is one line that names the field. A service
/// that throws it answers INVALID_ARGUMENT (see <see cref="Rpc.StatusInterceptor"/>).
/// </summary>
public sealed class InvalidMessageException(string message) : Exception(message);
