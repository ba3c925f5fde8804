using LlamaCluster.Cluster.Activations;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Links;

/// <summary>What activations between two stages look like in one view; both ends take it from the same plan.</summary>
/// <param name="FromStage">The stage that sends them.</param>
/// <param name="HiddenSize">D: values a row.</param>
/// <param name="MaxStepRows">The most rows that a step brings.</param>
/// <param name="MaxSteps">
/// Steps that may be under way between the two: one more than there are stages, since that many are in flight in the whole pipeline.
/// </param>
sealed record ActivationShape(ulong ViewVersion, int FromStage, int HiddenSize, ActivationType Type, int MaxStepRows, int MaxSteps)
{
    public int RowBytes { get; } = ActivationCodec.RowBytes(Type, HiddenSize);
}
