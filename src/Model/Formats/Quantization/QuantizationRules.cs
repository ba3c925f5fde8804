using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>
/// Which type each tensor gets when a model is quantised. Vectors get F32. Matrices get the type asked for, except that
/// the matrix that makes the logits (the head, or the embedding where it is the head too) gets at least Q6_K, whose error
/// reaches every token directly; and that a matrix whose rows are not whole blocks of 256 gets Q8_0 in place of a K type.
/// </summary>
public static class QuantizationRules
{
    /// <summary>What a model can be quantised to.</summary>
    public static IReadOnlyList<TensorType> Targets { get; } = [TensorType.Q8_0, TensorType.Q6_K, TensorType.Q4_K, TensorType.Q4_0];

    /// <summary>The targets as users write them: "q8_0, q6_k, ..."</summary>
    public static string TargetNames { get; } = string.Join(", ", Targets.Select(type => type.ToString().ToLowerInvariant()));

    /// <summary>The target of this name, in upper or lower case; null if there is none.</summary>
    public static TensorType? FindTarget(string name)
    {
        foreach (var type in Targets)
            if (type.ToString().Equals(name, StringComparison.OrdinalIgnoreCase)) return type;
        return null;
    }

    /// <exception cref="ModelFormatException">The tensor's rows fit no type.</exception>
    public static TensorType TypeOf(TensorInfo tensor, TensorType target, LlamaConfig config)
    {
        if (tensor.Rows == 1) return TensorType.F32;
        var wanted = MakesLogits(tensor, config) && target is (TensorType.Q4_0 or TensorType.Q4_K) ? TensorType.Q6_K : target;
        if (tensor.Columns % wanted.BlockSize() != 0) wanted = TensorType.Q8_0;
        return LlamaTensorRules.RowProblem(tensor.Name, wanted, tensor.Columns) is { } problem ? throw new ModelFormatException(problem) : wanted;
    }

    static bool MakesLogits(TensorInfo tensor, LlamaConfig config) =>
        tensor.Name == (config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output);
}
