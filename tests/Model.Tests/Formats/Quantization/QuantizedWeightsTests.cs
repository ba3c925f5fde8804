using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.Quantization;

public sealed class QuantizedWeightsTests
{
    [Fact]
    public void TheDemoFolderQuantisedIsLlamaCppsFile()
    {
        using var quantised = new QuantizedWeights(ModelFiles.Open(SharedFiles.Demo("hf")), TensorType.Q8_0);
        using var expected = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));

        foreach (var tensor in quantised.Tensors.Where(t => t.Rows > 1))
        {
            Assert.Equal(tensor, expected.Find(tensor.Name));
            Assert.True(TensorBytes.Of(quantised, tensor).AsSpan().SequenceEqual(TensorBytes.Of(expected, tensor)), tensor.Name);
        }
    }

    [Fact]
    public void TheMatrixThatMakesTheLogitsKeepsMoreBits()
    {
        Assert.Equal(TensorType.Q6_K, TypeOf(LlamaTensors.Output, TensorType.Q4_0, tied: false));
        Assert.Equal(TensorType.Q4_0, TypeOf(LlamaTensors.Embedding, TensorType.Q4_0, tied: false));
        Assert.Equal(TensorType.Q6_K, TypeOf(LlamaTensors.Embedding, TensorType.Q4_K, tied: true));
        Assert.Equal(TensorType.Q8_0, TypeOf(LlamaTensors.Output, TensorType.Q8_0, tied: false));
    }

    [Fact]
    public void RowsThatAreNotWholeBlocksOf256GetQ8_0()
    {
        using var quantised = new QuantizedWeights(SyntheticModel.Small.Weights(), TensorType.Q4_K);

        Assert.All(quantised.Tensors.Where(t => t.Rows > 1), tensor => Assert.Equal(TensorType.Q8_0, tensor.Type));
        Assert.All(quantised.Tensors.Where(t => t.Rows == 1), tensor => Assert.Equal(TensorType.F32, tensor.Type));
    }

    [Fact]
    public void RowsThatFitNoTypeAreRefusedByTensor()
    {
        var model = SyntheticModel.Small with { Config = SyntheticModel.Small.Config with { FfnSize = 72 } };

        var error = Assert.Throws<ModelFormatException>(() => new QuantizedWeights(model.Weights(), TensorType.Q4_0));

        Assert.Contains("tensor 'blk.0.ffn_down.weight' has 72 columns, which are not whole Q8_0 blocks of 32", error.Message);
    }

    [Fact]
    public void RowsDoNotDependOnHowManyAreReadAtOnce()
    {
        using var quantised = new QuantizedWeights(SyntheticModel.Small.Weights(), TensorType.Q4_0);
        var tensor = quantised.Find("blk.0.ffn_down.weight")!;
        var row = new byte[tensor.RowBytes];
        quantised.ReadRows(tensor, 9, row);

        Assert.Equal(TensorBytes.Of(quantised, tensor).AsSpan((int)(9 * tensor.RowBytes), row.Length).ToArray(), row);
    }

    [Fact]
    public void NumbersThatCannotBeQuantisedAreRefusedByRow()
    {
        using var folder = new TempFolder();
        var path = SyntheticModel.Small.WriteHuggingFace(folder.File("model"));
        var file = folder.File("model/model.safetensors");
        var bytes = File.ReadAllBytes(file);
        // The last number of the last tensor, which is the head.
        BitConverter.TryWriteBytes(bytes.AsSpan(bytes.Length - 4), float.PositiveInfinity);
        File.WriteAllBytes(file, bytes);
        using var quantised = new QuantizedWeights(ModelFiles.Open(path), TensorType.Q8_0);

        var error = Assert.Throws<ModelFormatException>(() => TensorBytes.Of(quantised, LlamaTensors.Output));

        Assert.Equal("model: tensor output.weight, row 287 holds Infinity, which cannot be quantised", error.Message);
    }

    static TensorType TypeOf(string name, TensorType target, bool tied) => QuantizationRules.TypeOf(
        new TensorInfo(name, TensorType.F16, 512, 256), target, ModelShape.Parse("llama-3.2-1b").Config with { TiedEmbeddings = tied });
}
