using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats;

/// <summary>
/// Whether stored tensors are exactly those that a config asks for: all there, each of its shape, and none that this program
/// does not know and would leave out of the computation (biases, adapters, experts...).
/// </summary>
static class LlamaTensorRules
{
    /// <summary>What is wrong first, as a clause that names the tensor; null if nothing is.</summary>
    public static string? FirstProblem(LlamaConfig config, IReadOnlyDictionary<string, TensorInfo> tensors)
    {
        HashSet<string> expected = new(StringComparer.Ordinal);
        foreach (var shape in LlamaTensors.Of(config))
        {
            if (!tensors.TryGetValue(shape.Name, out var tensor)) return $"tensor {shape.Name} is missing";
            if (tensor.Rows != shape.Rows || tensor.Columns != shape.Columns)
                return $"tensor {shape.Name} has shape [{tensor.Rows}, {tensor.Columns}]; the config asks for [{shape.Rows}, {shape.Columns}]";
            expected.Add(shape.Name);
        }
        var unknown = tensors.Keys.FirstOrDefault(name => !expected.Contains(name));
        return unknown is null ? null : Unknown(unknown);
    }

    static string Unknown(string name) => name.EndsWith(".bias", StringComparison.Ordinal)
        ? $"tensor {ErrorText.Quote(name)} is a bias; models with biases are not supported"
        : $"tensor {ErrorText.Quote(name)} is not one of a Llama model of this config, and would be left out of the computation";

    /// <summary>Whether a row of <paramref name="columns"/> elements can be stored in this type; null if it can.</summary>
    public static string? RowProblem(string name, TensorType type, long columns) => columns % type.BlockSize() == 0
        ? null
        : $"tensor {ErrorText.Quote(name)} has {columns} columns, which are not whole {type} blocks of {type.BlockSize()}";
}
