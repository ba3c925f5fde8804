using System.Globalization;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.RandomNumbers;

/// <summary>
/// A model of random weights, written so that it can stand where a model's path does: <c>shape:llama-3.1-8b;layers=4;type=q4_0</c>. Every
/// process that is given it makes the same weights, and nothing of them travels.
/// </summary>
/// <param name="Shape">As <see cref="ModelShape.Parse"/> takes it.</param>
/// <param name="Type">Type of all matrices.</param>
/// <param name="Layers">As many of the shape's layers; null: all.</param>
/// <param name="LayersAreAlike">One copy of a layer's weights serves for all layers of a shard.</param>
public sealed record RandomModelPath(string Shape, TensorType Type, int? Layers = null, bool LayersAreAlike = false)
{
    const string Prefix = "shape:";
    const string LayersField = "layers=";
    const string TypeField = "type=";
    const string AlikeField = "share-layer-weights";

    /// <summary>Whether a path means random weights, and not a file.</summary>
    public static bool Is(string path) => path.StartsWith(Prefix, StringComparison.Ordinal);

    /// <exception cref="ModelFormatException">It names no shape, or has a field that is unknown.</exception>
    public static RandomModelPath Parse(string path)
    {
        var fields = path[Prefix.Length..].Split(';');
        var parsed = new RandomModelPath(fields[0], TensorType.Q4_0);
        foreach (var field in fields.Skip(1))
            parsed = field switch
            {
                AlikeField => parsed with { LayersAreAlike = true },
                _ when field.StartsWith(LayersField, StringComparison.Ordinal)
                    && int.TryParse(field[LayersField.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var layers)
                    => parsed with { Layers = layers },
                _ when field.StartsWith(TypeField, StringComparison.Ordinal) && FindType(field[TypeField.Length..]) is { } type
                    => parsed with { Type = type },
                _ => throw new ModelFormatException($"{path}: '{field}' is none of {LayersField}N, {TypeField}TYPE and {AlikeField}"),
            };
        return parsed;
    }

    /// <summary>The type of this name, in upper or lower case; null if there is none.</summary>
    public static TensorType? FindType(string name)
    {
        foreach (var type in Enum.GetValues<TensorType>())
            if (type.ToString().Equals(name, StringComparison.OrdinalIgnoreCase)) return type;
        return null;
    }

    /// <exception cref="ModelFormatException">There is no such shape, it has fewer layers, or a matrix of it cannot be of the type.</exception>
    public ModelShape ToShape()
    {
        try
        {
            var shape = ModelShape.Parse(Shape);
            var most = shape.Config.LayerCount;
            if (Layers is < 1 || Layers > most) throw new ModelFormatException($"{this}: the shape has {most} layers");
            return shape with { Config = shape.Config with { LayerCount = Layers ?? most } };
        }
        catch (FormatException wrong)
        {
            throw new ModelFormatException(wrong.Message);
        }
    }

    /// <inheritdoc cref="ToShape"/>
    public RandomWeights Open() => new(ToShape(), Type, layersAreAlike: LayersAreAlike);

    public override string ToString() => $"{Prefix}{Shape}"
        + (Layers is { } layers ? string.Create(CultureInfo.InvariantCulture, $";{LayersField}{layers}") : "")
        + $";{TypeField}{Type.ToString().ToLowerInvariant()}"
        + (LayersAreAlike ? $";{AlikeField}" : "");
}
