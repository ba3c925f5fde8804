using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats;

public sealed class ModelDigestTests
{
    static readonly SyntheticModel Model = SyntheticModel.Small;

    [Fact]
    public void IsTheSameWhateverTheFilesAreLike()
    {
        using var folder = new TempFolder();
        using var memory = Model.Weights();
        using var whole = ModelFiles.Open((Model with { Name = "another name" }).WriteGguf(folder.File("whole.gguf")));
        using var parts = ModelFiles.Open(Model.WriteGguf(folder.File("parts.gguf"), parts: 4));
        using var hf = ModelFiles.Open(Model.WriteHuggingFace(folder.File("folder"), shards: 2));

        Assert.Matches("^[0-9a-f]{64}$", memory.ComputeDigest());
        Assert.All([whole, parts, hf], weights => Assert.Equal(memory.ComputeDigest(), weights.ComputeDigest()));
    }

    [Fact]
    public void IsPinned()
    {
        using var weights = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));

        // Caches of workers are found by it: a change here makes all of them stale.
        Assert.Equal("e2639f2b13171cfb43370cb131aa5319610a5d63e62ad9034f881e19ea795f23", weights.ComputeDigest());
    }

    [Fact]
    public void DiffersWithContentTypeAndConfig()
    {
        SyntheticModel[] models =
        [
            Model,
            Model with { Seed = 2 },
            Model with { Type = TensorType.F16 },
            Model with { Config = Model.Config with { RopeTheta = 500_000 } },
            Model with { Config = Model.Config with { RmsEpsilon = 1e-6f } },
            Model with { Config = Model.Config with { ContextLength = 128 } },
            Model with { Config = Model.Config with { RopeScaling = new RopeScaling.Linear(2) } },
            Model with { Config = Model.Config with { RopeScaling = new RopeScaling.Yarn(2, 64, 32, 1, 1) } },
            Model with { Config = Model.Config with { RopeScaling = new RopeScaling.Yarn(2, 64, 32, 1, 2) } },
            Model with { Config = Model.Config with { Biases = AttentionBiases.Inputs } },
            Model with { Config = Model.Config with { Window = 64 } },
            Model with { Config = Model.Config with { QueryScale = new QueryScale(0.1f, 64, 0) } },
            Model with { Config = Model.Config with { QueryScale = new QueryScale(0.1f, 64, 1) } },
            Model with { Config = Model.Config with { RopeScaling = new RopeScaling.Llama3(8, 1, 4, 64) } },
            Model with { Config = Model.Config with { RopeScaling = new RopeScaling.Factors([1, 1, 1, 1, 2, 2, 2, 2]) } },
            Model with { Config = Model.Config with { RopeScaling = new RopeScaling.Factors([1, 1, 1, 1, 2, 2, 2, 3]) } },
        ];

        Assert.Equal(models.Length, models.Select(model => model.Weights().ComputeDigest()).Distinct().Count());
    }

    [Fact]
    public void EveryByteOfASmallTensorCounts()
    {
        using var folder = new TempFolder();
        var path = Model.WriteGguf(folder.File("model.gguf"));
        string before, after;
        using (var weights = ModelFiles.Open(path)) before = weights.ComputeDigest();
        var bytes = File.ReadAllBytes(path);
        bytes[^77] ^= 1;
        File.WriteAllBytes(path, bytes);
        using (var weights = ModelFiles.Open(path)) after = weights.ComputeDigest();

        Assert.NotEqual(before, after);
    }

    [Fact]
    public void ReadsLittleOfALargeModel()
    {
        using var weights = new CountingWeights(new RandomWeights(ModelShape.Parse("llama-3.1-405b"), TensorType.BF16));

        weights.ComputeDigest();

        Assert.InRange(weights.BytesRead, 1, 400L << 20);
    }

    [Fact]
    public void CanBeCancelled()
    {
        using var weights = Model.Weights();

        Assert.Throws<OperationCanceledException>(() => weights.ComputeDigest(new CancellationToken(canceled: true)));
    }
}
