using System.Buffers.Binary;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

/// <summary>Thousands of damaged files of a folder: whatever they hold, the model opens or is refused, and what opens can be read.</summary>
public sealed class HuggingFaceFuzzTests
{
    const int Files = 1500;

    [Theory]
    [InlineData("model-00001-of-00002.safetensors")]
    [InlineData("model.safetensors.index.json")]
    [InlineData("config.json")]
    public void DamagedFilesAreReadOrRefused(string name)
    {
        using var folder = new TempFolder();
        TinyModel().WriteHuggingFace(folder.Path, shards: 2);
        var whole = File.ReadAllBytes(folder.File(name));
        var mutator = new FileMutator(whole, HeaderLength(whole, name), seed: 20_240_608);
        var refused = 0;
        for (var i = 0; i < Files; i++)
        {
            File.WriteAllBytes(folder.File(name), mutator.Next());
            try
            {
                using var weights = ModelFiles.Open(folder.Path);
                foreach (var tensor in weights.Tensors) TensorBytes.Of(weights, tensor);
            }
            catch (ModelFormatException e)
            {
                Assert.DoesNotContain(e.Message, char.IsControl);
                refused++;
            }
        }
        Assert.InRange(refused, Files / 4, Files);
    }

    static SyntheticModel TinyModel() => SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with { LayerCount = 1, HiddenSize = 8, FfnSize = 8, HeadSize = 2, RopeDimensionCount = 2 },
    };

    static int HeaderLength(byte[] file, string name) =>
        name.EndsWith(".safetensors", StringComparison.Ordinal) ? 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(file) : file.Length;
}
