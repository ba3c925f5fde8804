using LlamaCluster.Model.Formats;

namespace LlamaCluster.Testing.Models;

/// <summary>Whole tensors, for comparing them.</summary>
public static class TensorBytes
{
    public static byte[] Of(IModelWeights weights, TensorInfo tensor)
    {
        var bytes = new byte[tensor.Bytes];
        weights.ReadRows(tensor, 0, bytes);
        return bytes;
    }

    public static byte[] Of(IModelWeights weights, string name) =>
        Of(weights, weights.Find(name) ?? throw new ArgumentException($"no tensor {name}", nameof(name)));
}
