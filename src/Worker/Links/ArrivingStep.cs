using Google.Protobuf;
using LlamaCluster.Cluster.Activations;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Links;

/// <summary>
/// The rows of one step as they arrive, frame by frame in row order. The frames' payloads are kept as gRPC delivered them and decoded
/// once, straight to where the stage reads them.
/// </summary>
sealed class ArrivingStep(int totalRows)
{
    readonly List<ByteString> _payloads = [];

    public int TotalRows => totalRows;

    public int Rows { get; private set; }

    public bool IsComplete => Rows == totalRows;

    /// <summary>Takes the frame unless it brings rows again; the frame is known to keep the rules.</summary>
    /// <returns>One line if it does not go on where the last one ended; else null.</returns>
    public string? Add(ActivationFrame frame)
    {
        if (frame.TotalRows != totalRows) return $"total_rows of step {frame.StepId} changed from {totalRows} to {frame.TotalRows}";
        if (frame.FirstRow > Rows) return $"step {frame.StepId} goes on with row {frame.FirstRow}, but rows from {Rows} are missing";
        if (frame.FirstRow < Rows) return null;
        _payloads.Add(frame.Payload);
        Rows += (int)frame.RowCount;
        return null;
    }

    /// <param name="rows">[TotalRows, D].</param>
    public void Decode(ActivationShape shape, Span<float> rows)
    {
        foreach (var payload in _payloads)
        {
            var values = payload.Length / shape.RowBytes * shape.HiddenSize;
            ActivationCodec.Decode(shape.Type, payload.Span, shape.HiddenSize, rows[..values]);
            rows = rows[values..];
        }
    }
}
