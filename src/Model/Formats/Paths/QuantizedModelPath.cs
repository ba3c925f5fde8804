using LlamaCluster.Kernels;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Paths;

/// <summary>
/// A model that is quantised while it is read, written so that it can stand where a model's path does: <c>quantize:q4_0:/models/llama</c>. Every
/// process that is given it makes the same bits, so the model's digest, over quantised rows, is the same for all and another than that of the files.
/// </summary>
/// <param name="Path">Path of a model whose matrices are floats.</param>
/// <param name="Target">One of <see cref="QuantizationRules.Targets"/>.</param>
public sealed record QuantizedModelPath(string Path, TensorType Target)
{
    const string Prefix = "quantize:";

    /// <summary>Whether a path means quantised weights, and not the files themselves.</summary>
    public static bool Is(string path) => path.StartsWith(Prefix, StringComparison.Ordinal);

    /// <exception cref="ModelFormatException">It names no type to quantise to.</exception>
    public static QuantizedModelPath Parse(string path)
    {
        var (type, rest) = path[Prefix.Length..].Split(':', 2) is [var first, var second] ? (first, second) : ("", "");
        return QuantizationRules.FindTarget(type) is { } target && rest.Length > 0 && !Is(rest)
            ? new QuantizedModelPath(rest, target)
            : throw new ModelFormatException($"{path}: must be like {Prefix}q4_0:PATH, with one of {QuantizationRules.TargetNames}");
    }

    /// <exception cref="ModelFormatException">There is no such model, or it is quantised already, or cannot be.</exception>
    public IModelWeights Open()
    {
        var source = ModelFiles.Open(Path);
        try
        {
            if (source.Tensors.FirstOrDefault(tensor => tensor.Rows > 1 && tensor.Type.BlockSize() > 1) is { } quantised)
                throw new ModelFormatException(
                    $"{Path}: tensor {quantised.Name} is {quantised.Type} already, and would lose twice: "
                    + "quantise the model it was made from, with weights of F32, F16 or BF16");
            return new QuantizedWeights(source, Target);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    public override string ToString() => $"{Prefix}{Target.ToString().ToLowerInvariant()}:{Path}";
}
