using Google.Protobuf;
using LlamaCluster.Cluster.Activations;
using LlamaCluster.Worker.Activations;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Activations;

/// <summary>Frames of a view with rows of two f32 values, whose first value is the row's number.</summary>
static class Frames
{
    public static ActivationShape Shape { get; } = new(5, 0, 2, Wire.ActivationType.F32, MaxStepRows: 8, MaxSteps: 2);

    /// <param name="shape">Of wider rows, whose other values are 0; null: the usual.</param>
    public static Wire.ActivationFrame Frame(ulong stepId, int totalRows, int firstRow, int rowCount, ActivationShape? shape = null)
    {
        shape ??= Shape;
        float[] values = [.. Enumerable.Range(firstRow, rowCount).SelectMany(row => (float[])[row, stepId, .. new float[shape.HiddenSize - 2]])];
        var payload = new byte[values.Length * sizeof(float)];
        ActivationCodec.Encode(Wire.ActivationType.F32, values, shape.HiddenSize, payload);
        return new Wire.ActivationFrame
        {
            ViewVersion = shape.ViewVersion,
            StepId = stepId,
            FromStage = 0,
            TotalRows = (uint)totalRows,
            FirstRow = (uint)firstRow,
            RowCount = (uint)rowCount,
            HiddenSize = (uint)shape.HiddenSize,
            Type = Wire.ActivationType.F32,
            Payload = ByteString.CopyFrom(payload),
        };
    }
}
