using LlamaCluster.Cluster.Activations;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Activations;

/// <summary>What activations between two stages look like in one view; both ends take it from the same plan.</summary>
/// <param name="FromStage">The stage that sends them.</param>
/// <param name="HiddenSize">D: values a row.</param>
/// <param name="MaxStepRows">The most rows that a step brings.</param>
/// <param name="MaxSteps">
/// Steps that may be under way between the two stages. It is one more than there are stages, as many as the whole pipeline has in flight.
/// </param>
sealed record ActivationShape(ulong ViewVersion, int FromStage, int HiddenSize, ActivationType Type, int MaxStepRows, int MaxSteps)
{
    public int RowBytes { get; } = ActivationCodec.RowBytes(Type, HiddenSize);
}

/// <summary>Checks whether the stage before may send a frame. Everything that is later used as a length or an offset is checked here.</summary>
static class ActivationFrameRules
{
    /// <summary>The first thing that is wrong, in one line. Null if nothing is.</summary>
    public static string? FirstProblem(ActivationFrame frame, ActivationShape shape)
    {
        if (frame.ViewVersion != shape.ViewVersion) return $"view {frame.ViewVersion} is not this worker's, which is {shape.ViewVersion}";
        if (frame.FromStage != shape.FromStage) return $"from_stage is {frame.FromStage}, not {shape.FromStage}";
        if (frame.HiddenSize != shape.HiddenSize) return $"hidden_size is {frame.HiddenSize}, not {shape.HiddenSize}";
        if (frame.Type != shape.Type) return $"type is {frame.Type}, not {shape.Type}";
        if (frame.TotalRows == 0 || frame.TotalRows > shape.MaxStepRows) return $"total_rows is {frame.TotalRows}, not 1 to {shape.MaxStepRows}";
        if (frame.RowCount == 0 || (ulong)frame.FirstRow + frame.RowCount > frame.TotalRows)
            return $"rows {frame.FirstRow} + {frame.RowCount} are not rows of {frame.TotalRows}";
        var expected = (long)frame.RowCount * shape.RowBytes;
        return frame.Payload.Length == expected ? null : $"payload has {frame.Payload.Length} bytes, but {frame.RowCount} rows take {expected}";
    }
}
