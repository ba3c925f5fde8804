using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.RandomNumbers;

public sealed class RandomWeightsTests
{
    static readonly ModelShape Shape = ModelShape.Parse("hidden=512,layers=2,ffn=1024,heads=8,kv-heads=2,vocab=300");

    public static TheoryData<TensorType> Types => [.. Enum.GetValues<TensorType>()];

    [Theory]
    [MemberData(nameof(Types))]
    public void MatricesKeepTheSizeOfWhatTheyMultiply(TensorType type)
    {
        using var weights = new RandomWeights(Shape, type);
        foreach (var tensor in weights.Tensors.Where(t => t.Rows > 1))
        {
            var values = new float[tensor.Rows * tensor.Columns];
            RowDecoder.Decode(type, TensorBytes.Of(weights, tensor), values);

            // Q4_0's numbers go from -8 to 7: their mean is a ninth of a standard deviation below 0.
            Assert.InRange(values.Average() * Math.Sqrt(tensor.Columns), -0.15, 0.15);
            Assert.InRange(values.Sum(v => (double)v * v) / tensor.Rows, 0.8, 1.2);
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void RowsDifferAndDoNotDependOnHowTheyAreRead(TensorType type)
    {
        using var weights = new RandomWeights(Shape, type);
        using var again = new RandomWeights(Shape, type);
        var tensor = weights.Find("blk.1.ffn_up.weight")!;
        var all = TensorBytes.Of(weights, tensor);
        var row = new byte[tensor.RowBytes];
        again.ReadRows(tensor, 77, row);

        Assert.Equal(all.AsSpan((int)(77 * tensor.RowBytes), row.Length).ToArray(), row);
        Assert.NotEqual(all[..row.Length], row);
        Assert.NotEqual(all, TensorBytes.Of(weights, "blk.0.ffn_up.weight"));
        Assert.Equal(weights.ComputeDigest(), again.ComputeDigest());
    }

    /// <summary>The last row of the head begins 2.1 G numbers after its first one.</summary>
    [Fact]
    public void TheLastRowsOfA405BModelAreLikeItsFirst()
    {
        using var weights = new RandomWeights(ModelShape.Parse("llama-3.1-405b"), TensorType.Q4_0, layersAreAlike: true);
        foreach (var tensor in weights.Tensors.Where(t => t.Rows > 1 && (!t.Name.StartsWith("blk.") || t.Name.StartsWith("blk.125."))))
        {
            var (row, values) = (new byte[tensor.RowBytes], new float[tensor.Columns]);
            weights.ReadRows(tensor, tensor.Rows - 1, row);
            RowDecoder.Decode(tensor.Type, row, values);
            Assert.InRange(values.Sum(v => (double)v * v), 0.9, 1.1);
        }
    }

    [Fact]
    public void AnotherSeedIsAnotherModel()
    {
        using var one = new RandomWeights(Shape, TensorType.Q4_0, seed: 1);
        using var two = new RandomWeights(Shape, TensorType.Q4_0, seed: 2);

        Assert.NotEqual(one.ComputeDigest(), two.ComputeDigest());
    }

    [Fact]
    public void LayersThatAreAlikeHaveTheFirstOnesNumbers()
    {
        using var different = new RandomWeights(Shape, TensorType.Q4_0);
        using var alike = new RandomWeights(Shape, TensorType.Q4_0, layersAreAlike: true);

        foreach (var tensor in LlamaTensors.OfLayer(Shape.Config, 0).Select(tensor => tensor.Name))
        {
            var first = TensorBytes.Of(different, tensor);
            Assert.Equal(first, TensorBytes.Of(alike, tensor));
            Assert.Equal(first, TensorBytes.Of(alike, tensor.Replace("blk.0", "blk.1")));
        }
        Assert.Equal(TensorBytes.Of(different, LlamaTensors.Output), TensorBytes.Of(alike, LlamaTensors.Output));
        Assert.NotEqual(different.ComputeDigest(), alike.ComputeDigest());
    }

    [Fact]
    public void NormsAreOne()
    {
        using var weights = new RandomWeights(Shape, TensorType.Q4_0);
        var values = new float[512];
        RowDecoder.Decode(TensorType.F32, TensorBytes.Of(weights, "blk.1.ffn_norm.weight"), values);

        Assert.All(values, value => Assert.Equal(1, value));
    }

    [Fact]
    public void AShapeThatTheTypeDoesNotFitIsRefusedByTensor()
    {
        var shape = ModelShape.Parse("hidden=64,layers=1,ffn=96,heads=2,vocab=300");

        var error = Assert.Throws<ModelFormatException>(() => new RandomWeights(shape, TensorType.Q4_K));

        Assert.Equal("tensor 'token_embd.weight' has 64 columns, which are not whole Q4_K blocks of 256", error.Message);
    }
}
