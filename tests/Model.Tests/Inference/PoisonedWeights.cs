using System.Runtime.InteropServices;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// Weights with which one token's numbers stop being finite, in the tensor named, while all other tokens' stay as if nothing were wrong.
/// One hidden dimension is not 0 for that token alone, no layer adds to it, and the tensor's last row (the last rank's) overflows with it.
/// </summary>
sealed class PoisonedWeights(SyntheticModel model, string poisoned, int token) : IModelWeights
{
    const int Dimension = 37;

    readonly SyntheticWeights _whole = model.Weights();
    readonly SyntheticWeights _floats = (model with { Type = TensorType.F32 }).Weights();

    public string Name => _whole.Name;

    public LlamaConfig Config => _whole.Config;

    public IReadOnlyList<TensorInfo> Tensors => [.. _whole.Tensors.Select(tensor => Find(tensor.Name)!)];

    public TensorInfo? Find(string name) => name == poisoned ? _floats.Find(name) : _whole.Find(name);

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        (tensor.Name == poisoned ? _floats : _whole).ReadRows(tensor, firstRow, destination);
        for (var start = 0; start < destination.Length; start += (int)tensor.RowBytes)
        {
            var stored = destination.Slice(start, (int)tensor.RowBytes);
            var row = firstRow + (start / tensor.RowBytes);
            if (tensor.Name == "token_embd.weight")
            {
                var values = new float[tensor.Columns];
                RowDecoder.Decode(tensor.Type, stored, values);
                values[Dimension] = row == token ? 1000 : 0;
                RowEncoder.Encode(tensor.Type, values, stored);
            }
            else if (row == Dimension && (tensor.Name.Contains("attn_output") || tensor.Name.Contains("ffn_down"))) stored.Clear();
            else if (row == tensor.Rows - 1 && tensor.Name == poisoned) MemoryMarshal.Cast<byte, float>(stored)[Dimension] = float.MaxValue;
        }
    }

    public string ComputeDigest(CancellationToken cancellation = default) => _whole.ComputeDigest(cancellation);

    public void Dispose() { }
}
