using System.Globalization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>What to tell who runs a folder in few bits as it is, which takes more memory than the folder.</summary>
public static class FewBitsHint
{
    /// <summary>One line that says what it takes and what to give; null where no matrix becomes larger than it is stored.</summary>
    public static string? Of(IModelWeights weights)
    {
        var count = weights.Tensors.Count(tensor => tensor.Type == TensorType.F32 && weights.StoredAs(tensor) is not null);
        return count == 0
            ? null
            : $"{count} matrices of {weights.Name} that are stored in few bits are F32 in memory, which makes all of it {Gigabytes(weights.Tensors)}: "
                + $"--quantize q8_0 makes it {OfMix("q8_0")}, --quantize q4_0 {OfMix("q4_0")}";

        string OfMix(string mix) => Gigabytes(TensorMix.TensorsOf(weights.Config, mix)!);
    }

    static string Gigabytes(IEnumerable<TensorInfo> tensors) =>
        string.Create(CultureInfo.InvariantCulture, $"{tensors.Sum(tensor => tensor.Bytes) / 1e9:0.0} GB");
}
