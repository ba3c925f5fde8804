using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// Finds the step's rows whose numbers are not finite, and remembers where this rank noticed each first. A damaged row stays so to the end of the
/// stage: its part of the next sum is NaN, and what is not finite in the residual stream never becomes finite again. So every rank finds the same
/// rows at the end.
/// </summary>
sealed class RowDamage(StageShape shape, int maxRows)
{
    readonly string?[] _places = new string?[maxRows];
    int _rows;

    public void Begin(int rows)
    {
        _rows = rows;
        _places.AsSpan(0, rows).Clear();
    }

    /// <summary>From here on only the first rows are computed with, or all of them again.</summary>
    public void Narrow(int rows) => _rows = rows;

    /// <summary>Attention's output becomes NaN in the rows whose keys or values are not finite, and could not be stored.</summary>
    /// <param name="layer">Index among the stage's layers.</param>
    /// <param name="x">[B, D] before attention is added.</param>
    /// <param name="k">[B, G, E]</param>
    /// <param name="v">[B, G, E]</param>
    /// <param name="a">[B, H, E]</param>
    public void Spoil(int layer, ReadOnlySpan<float> x, ReadOnlySpan<float> k, ReadOnlySpan<float> v, Span<float> a)
    {
        for (var row = 0; row < _rows; row++)
        {
            if (IsFinite(Row(k, row)) && IsFinite(Row(v, row))) continue;
            var width = a.Length / _rows;
            a.Slice(row * width, width).Fill(float.NaN);
            _places[row] ??= IsFinite(Row(x, row)) ? $"keys or values of layer {shape.FirstLayer + layer}" : Before(shape.FirstLayer + layer);
        }
    }

    /// <summary>The first of some rows that is not finite after the stage's layers, if there is one.</summary>
    /// <param name="x">[B, D]</param>
    public int? First(ReadOnlySpan<float> x, int firstRow, int rows)
    {
        for (var row = firstRow; row < firstRow + rows; row++)
            if (!IsFinite(Row(x, row))) return row;
        return null;
    }

    /// <summary>What is not finite in a row that <see cref="First"/> has found.</summary>
    public string Place(int row) => _places[row] ?? Before(shape.FirstLayer + shape.LayerCount);

    public static bool IsFinite(ReadOnlySpan<float> numbers) => !float.IsNaN(Softmax.MaxOfFinite(numbers));

    static string Before(int layer) => layer == 0 ? "embedding values" : $"activations after layer {layer - 1}";

    ReadOnlySpan<float> Row(ReadOnlySpan<float> rows, int row)
    {
        var width = rows.Length / _rows;
        return rows.Slice(row * width, width);
    }
}
