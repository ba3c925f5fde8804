namespace LlamaCluster.Planning.Costs;

/// <summary>What a step brings.</summary>
/// <param name="Rows">B: token positions.</param>
/// <param name="SampledRows">Rows of which logits are made.</param>
/// <param name="Positions">Positions that each row attends to.</param>
public readonly record struct StepLoad(int Rows, int SampledRows, int Positions)
{
    /// <summary>One token of each of some streams.</summary>
    public static StepLoad Decode(int streams, int positions) => new(streams, streams, positions);
}
