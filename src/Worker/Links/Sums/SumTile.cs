using LlamaCluster.Cluster.Activations;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Links.Sums;

/// <summary>Some columns of some rows.</summary>
readonly record struct SumTile(int FirstRow, int Rows, int FirstColumn, int Columns)
{
    public int Values => Rows * Columns;

    public int Bytes(ActivationType type) => Columns == 0 ? 0 : Rows * ActivationCodec.RowBytes(type, Columns);

    /// <summary>One row's part of the tile.</summary>
    /// <param name="values">[rows, width] values, of which this is a tile.</param>
    public Span<float> Row(Span<float> values, int width, int row) => values.Slice((FirstRow + row) * width + FirstColumn, Columns);

    /// <param name="payload"><see cref="Bytes"/> long.</param>
    public void Encode(ActivationType type, Span<float> values, int width, Span<byte> payload)
    {
        var bytes = payload.Length / Rows;
        for (var row = 0; row < Rows; row++)
            ActivationCodec.Encode(type, Row(values, width, row), Columns, payload.Slice(row * bytes, bytes));
    }

    /// <inheritdoc cref="Encode"/>
    public void Decode(ActivationType type, ReadOnlySpan<byte> payload, Span<float> values, int width)
    {
        var bytes = payload.Length / Rows;
        for (var row = 0; row < Rows; row++)
            ActivationCodec.Decode(type, payload.Slice(row * bytes, bytes), Columns, Row(values, width, row));
    }
}
