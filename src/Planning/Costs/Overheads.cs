namespace LlamaCluster.Planning.Costs;

/// <summary>
/// What the programs themselves add to what processors, memory and network take. The defaults were fitted to runs of this release on
/// one machine with two processors (docs/scaling.md says how and how well); they differ from machine to machine far less than bandwidths do.
/// </summary>
public sealed record Overheads
{
    /// <summary>The share of a plain read's bandwidth at which products would read weights if processors took no time.</summary>
    public double WeightReading { get; init; } = 0.97;

    /// <summary>The share of a plain read's bandwidth at which attention reads keys and values.</summary>
    public double KvReading { get; init; } = 0.5;

    /// <summary>A layer's norms, rotations and meetings of threads.</summary>
    public double LayerSeconds { get; init; } = 20e-6;

    /// <summary>What a token's logits cost beyond the head's product, for each vocabulary entry.</summary>
    public double LogitSeconds { get; init; } = 0.3e-9;

    /// <summary>Scheduling a step, telling the workers and hearing of the result, on the shortest way.</summary>
    public double StepSeconds { get; init; } = 1e-3;

    /// <summary>A message of the cluster's gRPC from one process to another, on the shortest way: what a measured round trip has twice.</summary>
    public double CallSeconds { get; init; } = 80e-6;

    /// <summary>Handing activations from a stage to the next, beyond the network: the sender's and the receiver's work.</summary>
    public double HopSeconds { get; init; } = 1e-3;

    /// <summary>One exchange between ranks, beyond the network; waiting for the slower one is part of it.</summary>
    public double ExchangeSeconds { get; init; } = 50e-6;

    /// <summary>Each further peer that a rank of a larger group exchanges with.</summary>
    public double PeerSeconds { get; init; } = 8e-6;

    /// <summary>Resident bytes for each stored byte of weights: packing aligns and pads.</summary>
    public double Resident { get; init; } = 1.05;
}
