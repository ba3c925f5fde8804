using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Coordinator.Tests.Weights;

public sealed class ServedWeightsTests : IDisposable
{
    const string Commit = "0123456789abcdef0123456789abcdef01234567";

    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_stands_in_a_hubs_files_as_it_is_is_described_with_its_place(bool isGguf)
    {
        var model = SyntheticModel.Small with { Type = isGguf ? TensorType.Q8_0 : TensorType.F16 };
        var path = isGguf ? model.WriteGguf(_folder.File("model.gguf"), parts: 3) : model.WriteHuggingFace(_folder.Path, shards: 2);
        using var weights = ModelFiles.Open(path);
        var hub = new HubOrigin(new Uri("https://hub.example.org/"), "org/model", Commit, _folder.Path);
        var description = new ServedWeights(weights, "synthetic", weights.ComputeDigest(), Hashes: null!, hub).Describe();

        Assert.Equal(("https://hub.example.org/", "org/model", Commit), (description.Hub.Endpoint, description.Hub.Repository, description.Hub.Commit));
        foreach (var tensor in description.Tensors.Where(tensor => tensor.HubFile > 0))
        {
            var read = new byte[weights.Find(tensor.Name)!.Bytes];
            weights.ReadRows(weights.Find(tensor.Name)!, 0, read);
            var file = File.ReadAllBytes(_folder.File(description.Hub.Files[(int)tensor.HubFile - 1]));
            Assert.Equal(read, file.AsSpan((int)tensor.HubOffset, read.Length).ToArray());
        }
        // The rows of a folder's Q and K are put in another order while they are read.
        Assert.Equal(
            isGguf ? [] : ["attn_q", "attn_k"],
            description.Tensors.Where(tensor => tensor.HubFile == 0).Select(tensor => tensor.Name.Split('.')[2]).Distinct());
    }

    [Fact]
    public void What_is_made_while_it_is_read_or_stands_elsewhere_has_no_place()
    {
        var path = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"));
        using var rounded = new QuantizedModelPath(path, TensorType.Q8_0).Open();
        using var weights = ModelFiles.Open(path);
        Assert.All(Describe(rounded, _folder.Path).Tensors, tensor => Assert.Equal(0u, tensor.HubFile));
        Assert.All(Describe(weights, _folder.File("other")).Tensors, tensor => Assert.Equal(0u, tensor.HubFile));

        static ModelDescription Describe(IModelWeights weights, string folder) =>
            new ServedWeights(weights, "synthetic", weights.ComputeDigest(), Hashes: null!, new HubOrigin(null, "org/model", Commit, folder)).Describe();
    }

    [Fact]
    public void All_that_attention_may_have_is_described()
    {
        using var weights = (SyntheticModel.Small with
        {
            Config = SyntheticModel.Small.Config with
            {
                RopeScaling = new RopeScaling.Yarn(Factor: 4, OriginalContextLength: 64, FastTurns: 16, SlowTurns: 2, Magnitude: 0.9f),
                QueryScale = new QueryScale(Growth: 0.2f, Span: 64, Offset: 1),
                Biases = AttentionBiases.Output,
                Window = 100,
            },
        }).Weights();

        var config = new ServedWeights(weights, "synthetic", weights.ComputeDigest(), Hashes: null!).Describe().Config;

        Assert.Equal(
            new RopeScalingMessage
            {
                Kind = RopeScalingMessage.Types.Kind.Yarn,
                Factor = 4,
                OriginalContextLength = 64,
                FastTurns = 16,
                SlowTurns = 2,
                Magnitude = 0.9f,
            },
            config.RopeScaling);
        Assert.Equal(new QueryScaleMessage { Growth = 0.2f, Span = 64, Offset = 1 }, config.QueryScale);
        Assert.Equal((2u, 100u), (config.AttentionBiases, config.Window));
    }
}
