namespace LlamaCluster.Coordinator.Hosting;

/// <summary>Which of its two doors a connection came through. An endpoint that carries one as metadata answers at that door only.</summary>
enum ListenerKind
{
    /// <summary>HTTP/1.1 (without TLS there is nothing to negotiate HTTP/2 by): clients of the API.</summary>
    Api,

    /// <summary>HTTP/2, with the cluster's TLS if it has it: workers and operators' tools.</summary>
    Rpc,
}
