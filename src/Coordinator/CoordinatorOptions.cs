using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Coordinator;

/// <summary>What the operator says of a coordinator. <see cref="CoordinatorOptionsRules"/> has the ranges.</summary>
public sealed record CoordinatorOptions
{
    /// <summary>A .gguf file (the first part of a split one) or a Hugging Face folder.</summary>
    public required string ModelPath { get; init; }

    /// <summary>Where clients reach the HTTP API; port 0 takes a free one.</summary>
    public string Listen { get; init; } = "http://127.0.0.1:8080";

    /// <summary>Where workers reach the coordinator; port 0 takes a free one.</summary>
    public string GrpcListen { get; init; } = "http://127.0.0.1:0";

    /// <summary>Workers to wait for before the model is loaded; those that come on top are spare. 1 to 1024, default 2.</summary>
    public int Workers { get; init; } = 2;

    /// <summary>Workers that share each stage; where they do not divide evenly, fewer share the last one. 1 to 256, default 1; null: as the planner finds best from what workers and links measured.</summary>
    public int? TensorParallel { get; init; } = 1;

    /// <summary>What plans are to be good at. Default: the tokens per second of several streams.</summary>
    public PlanObjective Objective { get; init; } = PlanObjective.Throughput;

    /// <summary>Streams at a time that plans are to be good for, where the tokens per second of several count. 1 to 4096, default 8.</summary>
    public int Streams { get; init; } = 8;

    /// <summary>The most tokens of one sequence, prompt and answer. 2 to the model's own context length, which is the default.</summary>
    public int? ContextLength { get; init; }

    /// <summary>Certificates for all traffic between the cluster's processes, not for the API. Default: none, all of it is plain.</summary>
    public TlsFiles? Tls { get; init; }

    public EngineOptions Engine { get; init; } = new();

    public ClusterDeadlines Deadlines { get; init; } = new();
}
