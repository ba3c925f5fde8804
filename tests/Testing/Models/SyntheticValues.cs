using System.Text;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.RandomNumbers;

namespace LlamaCluster.Testing.Models;

/// <summary>
/// Random numbers for tensors: matrices of variance 1 / columns, so that a product keeps its input's size; norm weights near 1; biases of half that;
/// RoPE divisors as the config has them.
/// </summary>
static class SyntheticValues
{
    public static float[] Of(int seed, TensorShape shape, LlamaConfig config)
    {
        if (shape.Name == LlamaTensors.RopeFactors) return [.. ((RopeScaling.Factors)config.RopeScaling!).Divisors];
        var random = new RandomSequence((ulong)seed ^ HashOf(shape.Name));
        var values = new float[shape.Rows * shape.Columns];
        var isBias = shape.Name.EndsWith(LlamaTensors.BiasEnd, StringComparison.Ordinal);
        var isNorm = shape.Rows == 1 && !isBias;
        var size = isBias ? 0.5f : isNorm ? 0.2f : MathF.Sqrt(3f / shape.Columns);
        foreach (ref var value in values.AsSpan()) value = (isNorm ? 1 : 0) + size * random.NextSigned();
        return values;
    }

    // FNV-1a: string.GetHashCode differs from run to run.
    static ulong HashOf(string name) => Encoding.UTF8.GetBytes(name).Aggregate(14695981039346656037, (hash, b) => (hash ^ b) * 1099511628211);
}
