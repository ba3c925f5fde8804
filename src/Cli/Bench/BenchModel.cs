using LlamaCluster.Coordinator;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cli.Bench;

/// <summary>What is measured: a model, or random weights of a shape.</summary>
static class BenchModel
{
    const TensorType ShapeType = TensorType.Q4_0;

    /// <param name="type">What to quantise to while loading; null: as stored.</param>
    /// <exception cref="InvalidOptionsException">The type is none to quantise to.</exception>
    public static string OfPath(string path, string? type) =>
        type is null ? path : new QuantizedModelPath(path, Parse(type, QuantizationRules.Targets)).ToString();

    /// <param name="layers">As many of the shape's layers; null: all.</param>
    /// <param name="type">Of all matrices; null: Q4_0.</param>
    /// <param name="shareLayers">One copy of a layer's weights serves for all.</param>
    /// <exception cref="InvalidOptionsException">The shape is none, or has fewer layers, or the type is unknown.</exception>
    public static RandomModelPath OfShape(string shape, int? layers, string? type, bool shareLayers)
    {
        var parsed = ParseShape(shape);
        if (layers is { } count) Commands.Range.Check("--layers", count, 1, parsed.Config.LayerCount);
        return new RandomModelPath(shape, type is null ? ShapeType : Parse(type, Enum.GetValues<TensorType>()), layers, shareLayers);
    }

    /// <exception cref="InvalidOptionsException">The shape is none.</exception>
    public static ModelShape ParseShape(string shape)
    {
        try
        {
            return ModelShape.Parse(shape);
        }
        catch (FormatException wrong)
        {
            throw new InvalidOptionsException($"--shape: {wrong.Message}");
        }
    }

    static TensorType Parse(string name, IReadOnlyList<TensorType> possible) =>
        RandomModelPath.FindType(name) is { } type && possible.Contains(type)
            ? type
            : throw new InvalidOptionsException($"--quant is {name}; it must be one of {string.Join(", ", possible.Select(type => type.ToString().ToLowerInvariant()))}");
}
