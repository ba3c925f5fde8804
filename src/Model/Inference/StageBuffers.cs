using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// Activations of the step at work, of <see cref="Rows"/> rows; reused from step to step. B rows, D hidden, F ffn, H heads, G kv heads,
/// E head dim, V vocabulary, R rotated dimensions of a head; of F, H, G and V the rank's own.
/// </summary>
sealed class StageBuffers : IDisposable
{
    readonly LlamaConfig _config;
    readonly NativeBuffer<float> _stream, _normed, _queries, _keys, _values, _attended, _gate, _up, _cosines, _sines, _logits,
        _mixed, _picked, _routerLogits;

    /// <param name="widestProduct">The most columns that a product's matrix has.</param>
    /// <param name="maxVocabulary">The greatest that logits are of.</param>
    public StageBuffers(LlamaConfig config, StageShape shape, StageSlice slice, int widestProduct, int maxRows, int maxVocabulary)
    {
        (_config, MaxRows) = (config, maxRows);
        NativeBuffer<float> OfWidth(int width) => new(checked((long)maxRows * width));
        (_stream, _normed) = (OfWidth(config.HiddenSize), OfWidth(config.HiddenSize));
        (_queries, _attended) = (OfWidth(slice.MostHeads * config.HeadSize), OfWidth(slice.WidestAttended(config.HeadSize)));
        (_keys, _values) = (OfWidth(slice.MostKvHeads * config.HeadSize), OfWidth(slice.MostKvHeads * config.HeadSize));
        (_gate, _up) = (OfWidth(slice.WidestFfn), OfWidth(slice.WidestFfn));
        (_cosines, _sines) = (OfWidth(config.RopeDimensionCount), OfWidth(config.RopeDimensionCount));
        LogitRows = Math.Min(maxRows, StageMemory.MaxLogitRows);
        _logits = new(shape.HasHead ? checked((long)LogitRows * slice.VocabularyOf(config, maxVocabulary).Count) : 0);
        var expertWidth = config.Experts is null ? 0 : config.HiddenSize;
        (_mixed, _picked, _routerLogits) = (OfWidth(expertWidth), OfWidth(expertWidth), OfWidth(config.Experts?.Count ?? 0));
        Inputs = new MatMulInput(maxRows, widestProduct);
    }

    /// <summary>The greatest B.</summary>
    public int MaxRows { get; }

    /// <summary>B.</summary>
    public int Rows { get; set; }

    /// <summary>Rows of logits there is room for.</summary>
    public int LogitRows { get; }

    /// <summary>A product's activations, quantised as its weights need them.</summary>
    public MatMulInput Inputs { get; }

    /// <summary>x[B, D]: the residual stream, a stage's input and output.</summary>
    public Span<float> Stream => Of(_stream, Rows, _config.HiddenSize);

    /// <summary>h[B, D]: the normed stream.</summary>
    public Span<float> Normed => Of(_normed, Rows, _config.HiddenSize);

    /// <summary>[B, columns] of what a block adds to the stream, part after part, in the place of the normed stream.</summary>
    public Span<float> Part(IndexRange columns) => _normed.Span((long)Rows * columns.First, checked(Rows * columns.Count));

    /// <summary>[S, D]: rows of the stream to be turned into logits, at most <see cref="LogitRows"/>.</summary>
    public Span<float> HeadRows(int rows) => Of(_normed, rows, _config.HiddenSize);

    /// <summary>q[B, H, E]</summary>
    /// <param name="width">H * E, of the layer</param>
    public Span<float> Queries(int width) => Of(_queries, Rows, width);

    /// <summary>k[B, G, E]</summary>
    /// <param name="width">G * E, of the layer</param>
    public Span<float> Keys(int width) => Of(_keys, Rows, width);

    /// <summary>v[B, G, E]</summary>
    /// <inheritdoc cref="Keys"/>
    public Span<float> Values(int width) => Of(_values, Rows, width);

    /// <summary>a[B, H, E]: attention's output, or what a matrix in its place takes of the rank's columns.</summary>
    /// <param name="width">Of a row, in the layer.</param>
    public Span<float> Attended(int width) => Of(_attended, Rows, width);

    /// <summary>[rows, F] of a layer's feed-forward or of an expert's.</summary>
    /// <param name="width">F</param>
    public Span<float> Gate(int rows, int width) => Of(_gate, rows, width);

    /// <inheritdoc cref="Gate"/>
    public Span<float> Up(int rows, int width) => Of(_up, rows, width);

    /// <summary>[B, D] of what experts add to the stream.</summary>
    public Span<float> Mixed => Of(_mixed, Rows, _config.HiddenSize);

    /// <summary>[rows, D] of one expert's rows: its inputs, then its outputs.</summary>
    public Span<float> Picked(int rows) => Of(_picked, rows, _config.HiddenSize);

    /// <summary>[B, N] of the N experts.</summary>
    public Span<float> RouterLogits => Of(_routerLogits, Rows, _config.Experts!.Count);

    /// <summary>[B, R] of each row's position.</summary>
    public Span<float> Cosines => Of(_cosines, Rows, _config.RopeDimensionCount);

    /// <summary>[B, R] of each row's position.</summary>
    public Span<float> Sines => Of(_sines, Rows, _config.RopeDimensionCount);

    /// <summary>Logits of <see cref="HeadRows"/>, where the step's <see cref="HeadLayout"/> has them; only where the stage has the head.</summary>
    public Span<float> Logits(long first, int count) => _logits.Span(first, count);

    public long Bytes => Inputs.Bytes + All.Sum(buffer => buffer.Bytes);

    IEnumerable<NativeBuffer<float>> All =>
        [_stream, _normed, _queries, _keys, _values, _attended, _gate, _up, _cosines, _sines, _logits, _mixed, _picked, _routerLogits];

    public void Dispose()
    {
        Inputs.Dispose();
        foreach (var buffer in All) buffer.Dispose();
    }

    static Span<float> Of(NativeBuffer<float> buffer, int rows, int width) => buffer.Span(0, checked(rows * width));
}
