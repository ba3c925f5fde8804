using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Cli.Planning;

/// <summary>Like workers on like hosts, as a cluster file describes them.</summary>
/// <param name="Hosts">How many hosts there are.</param>
/// <param name="PerHost">Workers of each host.</param>
/// <param name="MemoryBytes">Of each worker, as all other figures.</param>
/// <param name="Inner">Between workers of a host.</param>
/// <param name="Outer">From its hosts to others of the network; null where there is only one host, and nothing was said of it.</param>
sealed record WorkerKind(
    string Name, int Hosts, int PerHost, long MemoryBytes, int Threads, double ReadBytesPerSecond, double MultiplyAddsPerSecond, Link Inner, Link? Outer);
