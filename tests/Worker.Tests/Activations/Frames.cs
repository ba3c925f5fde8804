using Google.Protobuf;
using LlamaCluster.Cluster.Activations;
using LlamaCluster.Worker.Activations;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Activations;

/// <summary>Frames of a view with rows of two f32 values, whose first value is the row's number.</summary>
static class Frames
{
    public static ActivationShape Shape { get; } = new(5, 0, 2, Wire.ActivationType.F32, MaxStepRows: 8, MaxSteps: 2);

    public static Wire.ActivationFrame Frame(ulong stepId, int totalRows, int firstRow, int rowCount)
    {
        float[] values = [.. Enumerable.Range(firstRow, rowCount).SelectMany(row => new float[] { row, stepId })];
        var payload = new byte[values.Length * sizeof(float)];
        ActivationCodec.Encode(Wire.ActivationType.F32, values, Shape.HiddenSize, payload);
        return new Wire.ActivationFrame
        {
            ViewVersion = Shape.ViewVersion,
            StepId = stepId,
            FromStage = 0,
            TotalRows = (uint)totalRows,
            FirstRow = (uint)firstRow,
            RowCount = (uint)rowCount,
            HiddenSize = 2,
            Type = Wire.ActivationType.F32,
            Payload = ByteString.CopyFrom(payload),
        };
    }
}
