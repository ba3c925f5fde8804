using LlamaCluster.Coordinator;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Formats.RandomNumbers;

namespace LlamaCluster.Cli.Bench;

/// <summary>The weights that are measured: a model's, or random ones of a shape.</summary>
static class BenchWeights
{
    const TensorType ShapeType = TensorType.Q4_0;

    /// <param name="type">What to quantise to while loading; null: as stored.</param>
    /// <exception cref="InvalidOptionsException">The type is none to quantise to.</exception>
    /// <exception cref="ModelFormatException">Files are missing, damaged or not supported.</exception>
    public static IModelWeights OfModel(string path, string? type)
    {
        if (type is null) return ModelFiles.Open(path);
        var target = Parse(type, QuantizationRules.Targets);
        var source = ModelFiles.Open(path);
        try
        {
            return new QuantizedWeights(source, target);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <param name="layers">As many of the shape's layers; null: all.</param>
    /// <param name="type">Of all matrices; null: Q4_0.</param>
    /// <exception cref="InvalidOptionsException">The shape is none, or has fewer layers, or the type is unknown.</exception>
    /// <exception cref="ModelFormatException">A matrix of this shape cannot be of this type.</exception>
    public static IModelWeights OfShape(string text, int? layers, string? type)
    {
        var shape = Parse(text);
        var count = Commands.Range.Check("--layers", layers ?? shape.Config.LayerCount, 1, shape.Config.LayerCount);
        var parsedType = type is null ? ShapeType : Parse(type, Enum.GetValues<TensorType>());
        return new RandomWeights(shape with { Config = shape.Config with { LayerCount = count } }, parsedType);
    }

    static ModelShape Parse(string shape)
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

    static TensorType Parse(string name, IReadOnlyList<TensorType> possible)
    {
        foreach (var type in possible)
            if (type.ToString().Equals(name, StringComparison.OrdinalIgnoreCase)) return type;
        throw new InvalidOptionsException($"--quant is {name}; it must be one of {string.Join(", ", possible.Select(type => type.ToString().ToLowerInvariant()))}");
    }
}
