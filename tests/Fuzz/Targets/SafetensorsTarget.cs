using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>A Hugging Face folder with one damaged file: the first byte of an input says which.</summary>
sealed class SafetensorsTarget : ITarget
{
    static readonly string[] Names = ["model-00001-of-00002.safetensors", "model.safetensors.index.json", "config.json"];

    readonly TempFolder _folder = new();
    readonly byte[][] _whole;
    int _damaged;

    public SafetensorsTarget()
    {
        SmallModel.Of.WriteHuggingFace(_folder.Path, shards: 2);
        _whole = [.. Names.Select(name => File.ReadAllBytes(_folder.File(name)))];
        Seeds = [.. _whole.Select((file, index) => (byte[])[(byte)index, .. file])];
    }

    public IReadOnlyList<byte[]> Seeds { get; }

    public IReadOnlyList<string> Words { get; } =
    [
        "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "\"F32\"", "\"BF16\"", "\"F16\"", "\"F8_E4M3\"", "\"I64\"", "\"weight_map\"",
        "\"metadata\"", "[", "]", "{", "}", ",", ":", "\"rope_scaling\"", "\"llama3\"", "\"factor\"", "\"num_hidden_layers\"", "\"head_dim\"", "\"vocab_size\"",
        "\"architectures\"", "null", "true", "\"\\ud800\"", "../", "\0",
    ];

    public void Run(byte[] input)
    {
        if (input.Length == 0) return;
        var which = input[0] % Names.Length;
        if (which != _damaged) File.WriteAllBytes(_folder.File(Names[_damaged]), _whole[_damaged]);
        File.WriteAllBytes(_folder.File(Names[_damaged = which]), input[1..]);
        try
        {
            using var weights = ModelFiles.Open(_folder.Path);
            foreach (var tensor in weights.Tensors) TensorBytes.Of(weights, tensor);
        }
        catch (ModelFormatException refused)
        {
            Refusals.Check(refused);
        }
    }

    public void Dispose() => _folder.Dispose();
}
