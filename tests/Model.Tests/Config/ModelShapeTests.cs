using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Model.Tests.Config;

public sealed class ModelShapeTests
{
    // Parameter counts as the model cards give them, in billions.
    [Theory]
    [InlineData("llama-3.2-1b", 1.24)]
    [InlineData("llama-3.1-8b", 8.03)]
    [InlineData("llama-3.1-70b", 70.6)]
    [InlineData("llama-3.1-405b", 405.9)]
    [InlineData("llama-4-scout", 107.8)]
    [InlineData("llama-4-maverick", 400.7)]
    [InlineData("mixtral-8x7b", 46.7)]
    [InlineData("mixtral-8x22b", 140.6)]
    public void PresetsHaveTheParametersThatTheirNamesSay(string name, double billions)
    {
        var shape = ModelShape.Parse(name);

        Assert.Null(LlamaConfigRules.FirstProblem(shape.Config));
        Assert.Equal(billions, LlamaTensors.Of(shape.Config).Sum(t => t.Rows * t.Columns) / 1e9, 0.005 * billions);
    }

    [Fact]
    public void AShapeIsReadFromItsFields()
    {
        var config = ModelShape.Parse("hidden=2048,layers=16,ffn=8192,heads=32,kv-heads=8,vocab=32000").Config;

        Assert.Equal(
            (16, 2048, 8192, 32, 8, 64, 32_000),
            (config.LayerCount, config.HiddenSize, config.FfnSize, config.HeadCount, config.KvHeadCount, config.HeadSize, config.VocabularySize));
        Assert.False(config.TiedEmbeddings);
    }

    [Fact]
    public void ExpertsAreMixtrals()
    {
        var experts = ModelShape.Parse("hidden=64,layers=1,ffn=96,heads=2,vocab=300,experts=8").Config.Experts;
        var three = ModelShape.Parse("hidden=64,layers=1,ffn=96,heads=2,vocab=300,experts=8,experts-used=3").Config.Experts;

        Assert.Equal(new ExpertMixture { Count = 8, UsedCount = 2, FfnSize = 96, LayerStep = 1, Gate = ExpertGate.Softmax, HasShared = false }, experts);
        Assert.Equal(3, three!.UsedCount);
    }

    [Fact]
    public void OptionalFieldsAreHonoured()
    {
        var config = ModelShape.Parse("hidden=64,layers=1,ffn=96,heads=2,head-size=48,context=99,vocab=300").Config;

        Assert.Equal((2, 48, 48, 99), (config.KvHeadCount, config.HeadSize, config.RopeDimensionCount, config.ContextLength));
    }

    [Theory]
    [InlineData("llama-9", "is unknown: give one of llama-3.2-1b")]
    [InlineData("hidden=64", "heads is missing")]
    [InlineData("hidden=64,layers=1,ffn=96,heads=2,vocab=300,adapters=8", "adapters is unknown")]
    [InlineData("hidden=64,layers=1,ffn=96,heads=2,vocab=300,vocab=300", "vocab is there twice")]
    [InlineData("hidden=64,layers=1,ffn=96,heads=2,vocab=1e9", "'vocab=1e9' is not of the form name=number")]
    [InlineData("hidden=64,layers=1,ffn=96,heads=3,vocab=300", "hidden 64 is not a multiple of heads 3")]
    [InlineData("hidden=64,layers=0,ffn=96,heads=2,vocab=300", "layer count is 0")]
    [InlineData("hidden=64,layers=1,ffn=96,heads=2,vocab=300,experts=1", "expert count is 1")]
    [InlineData("hidden=64,layers=1,ffn=96,heads=2,vocab=300,experts=4,experts-used=5", "used expert count is 5; it must be from 1 to 4")]
    [InlineData("hidden=64,layers=1,ffn=96,heads=2,vocab=300,experts-used=2", "experts-used is unknown")]
    [InlineData("hidden=64,layers=1,ffn=96,heads=0,vocab=300", "hidden 64 is not a multiple of heads 0")]
    public void AWrongShapeIsRefusedByField(string text, string expected)
    {
        var error = Assert.Throws<FormatException>(() => ModelShape.Parse(text));

        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }
}
