using System.Globalization;
using System.Runtime.InteropServices;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.RandomNumbers;

/// <summary>
/// Weights of any shape and type without a file, for measuring: matrices of a type hold random numbers of variance 1 / columns, so
/// that activations keep their size from layer to layer; norms are 1. The same seed gives the same model. Rows are
/// copied from a small pattern (see <see cref="RandomPattern"/>), as fast as memory allows.
/// </summary>
public sealed class RandomWeights : IModelWeights
{
    readonly ulong _seed;
    readonly Dictionary<string, int> _indices;
    readonly Dictionary<(TensorType, long), RandomPattern> _patterns;

    /// <summary>For each tensor the index of the one whose numbers it has: where layers are alike, the same part's in the first layer of its kind.</summary>
    readonly int[] _likes;

    /// <param name="type">Type of all matrices; vectors and routers are F32.</param>
    /// <param name="layersAreAlike">Every layer has the numbers of the first one of its kind.</param>
    /// <exception cref="ModelFormatException">A matrix of this shape cannot be of this type.</exception>
    public RandomWeights(ModelShape shape, TensorType type, ulong seed = 1, bool layersAreAlike = false)
    {
        Name = $"random {shape.Name} {type}";
        LayersAreAlike = layersAreAlike;
        Config = shape.Config;
        _seed = seed;
        Tensors = [.. LlamaTensors.Of(Config).Select(tensor => Describe(tensor, type))];
        _indices = Tensors.Index().ToDictionary(t => t.Item.Name, t => t.Index, StringComparer.Ordinal);
        _likes = [.. Tensors.Select((tensor, index) => layersAreAlike ? FirstLike(tensor.Name, index) : index)];
        _patterns = Tensors.Where(tensor => tensor.Rows > 1).Select(tensor => (tensor.Type, tensor.Columns)).Distinct()
            .ToDictionary(key => key, key => new RandomPattern(key.Type, key.Columns, seed));
    }

    public string Name { get; }

    public LlamaConfig Config { get; }

    public IReadOnlyList<TensorInfo> Tensors { get; }

    public bool LayersAreAlike { get; }

    public TensorInfo? Find(string name) => _indices.TryGetValue(name, out var index) ? Tensors[index] : null;

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        tensor.CheckRows(firstRow, destination.Length);
        ReadPart(TensorPart.Rows(tensor, firstRow, destination.Length / tensor.RowBytes), destination);
    }

    public void ReadPart(TensorPart part, Span<byte> destination)
    {
        var tensor = part.Tensor;
        if (!_indices.TryGetValue(tensor.Name, out var index) || Tensors[index] != tensor)
            throw new ArgumentException($"{tensor} is not a tensor of {Name}", nameof(part));
        part.Check(destination.Length);
        if (tensor.Rows == 1) FillOnes(destination);
        else CopyRows(_patterns[(tensor.Type, tensor.Columns)], part, _likes[index], destination);
    }

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public void Dispose() { }

    void CopyRows(RandomPattern pattern, TensorPart part, int index, Span<byte> destination)
    {
        var rowBytes = (int)part.RowBytes;
        for (var row = part.FirstRow; !destination.IsEmpty; row++, destination = destination[rowBytes..])
            pattern.CopyRow(RandomSequence.Mix(_seed ^ ((ulong)index << 40) ^ (ulong)row), part.BytesBefore, destination[..rowBytes]);
    }

    int FirstLike(string name, int index)
    {
        if (name.Split('.', 3) is not ["blk", var number, var part]) return index;
        var layer = int.Parse(number, CultureInfo.InvariantCulture);
        var first = Enumerable.Range(0, layer + 1).First(other => Config.AreAlike(other, layer));
        return _indices[string.Create(CultureInfo.InvariantCulture, $"blk.{first}.{part}")];
    }

    static void FillOnes(Span<byte> destination) => MemoryMarshal.Cast<byte, float>(destination).Fill(1);

    static TensorInfo Describe(TensorShape shape, TensorType type)
    {
        if (shape.Name == LlamaTensors.RopeFactors) throw new ModelFormatException("a shape with stored RoPE divisors has no random weights");
        if (shape.Rows == 1 || ExpertTensors.IsRouter(shape.Name)) return new TensorInfo(shape.Name, TensorType.F32, shape.Rows, shape.Columns);
        if (LlamaTensorRules.RowProblem(shape.Name, type, shape.Columns) is { } problem) throw new ModelFormatException(problem);
        return new TensorInfo(shape.Name, type, shape.Rows, shape.Columns);
    }
}
