namespace LlamaCluster.Coordinator.Hosting;

/// <summary>On an endpoint: where it answers. On a connection: where it came in.</summary>
sealed record ListenerMetadata(ListenerKind Kind);
