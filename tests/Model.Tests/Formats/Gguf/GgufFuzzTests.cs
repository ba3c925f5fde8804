using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

/// <summary>Thousands of damaged files: whatever they hold, they open or are refused, and what opens can be read to its end.</summary>
public sealed class GgufFuzzTests
{
    const int Files = 4000;

    [Fact]
    public void DamagedFilesAreReadOrRefused()
    {
        using var folder = new TempFolder();
        var whole = File.ReadAllBytes(TinyModel().WriteGguf(folder.File("whole.gguf")));
        var path = folder.File("damaged.gguf");
        var mutator = new FileMutator(whole, HeaderLength(folder.File("whole.gguf")), seed: 20_240_607);
        var (opened, refused) = (0, 0);
        for (var i = 0; i < Files; i++)
        {
            File.WriteAllBytes(path, mutator.Next());
            try
            {
                ReadAll(path);
                opened++;
            }
            catch (ModelFormatException e)
            {
                Assert.DoesNotContain(e.Message, char.IsControl);
                refused++;
            }
        }
        // Both happen often, or the damage is of the wrong kind.
        Assert.InRange(opened, Files / 20, Files);
        Assert.InRange(refused, Files / 4, Files);
    }

    static SyntheticModel TinyModel() => SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with { LayerCount = 1, HiddenSize = 8, FfnSize = 8, HeadSize = 2, RopeDimensionCount = 2, TiedEmbeddings = true },
    };

    static int HeaderLength(string path)
    {
        using var file = GgufFile.Open(path);
        return (int)file.DataStart;
    }

    static void ReadAll(string path)
    {
        using (var file = GgufFile.Open(path))
            ReadVocabulary(file.Metadata);
        using var weights = ModelFiles.Open(path);
        foreach (var tensor in weights.Tensors) TensorBytes.Of(weights, tensor);
    }

    static void ReadVocabulary(GgufMetadata metadata)
    {
        metadata.TryGetStrings("tokenizer.ggml.tokens", out _);
        metadata.TryGetSingles("tokenizer.ggml.scores", out _);
        metadata.TryGetInt32s("tokenizer.ggml.token_type", out _);
        metadata.TryGetString("tokenizer.ggml.model", out _);
    }
}
