using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats;

public sealed class TensorPartTests
{
    static readonly TensorInfo Tensor = new("blk.0.ffn_down.weight", TensorType.Q4_0, 10, 128);

    [Fact]
    public void Columns_are_rounded_out_to_whole_blocks()
    {
        Assert.Equal(new TensorPart(Tensor, 0, 10, 32, 32), TensorPart.Columns(Tensor, 32, 32));
        Assert.Equal(new TensorPart(Tensor, 0, 10, 32, 64), TensorPart.Columns(Tensor, 40, 30));
        Assert.Equal(new TensorPart(Tensor, 0, 10, 0, 128), TensorPart.Columns(Tensor, 31, 66));
        Assert.Equal(
            (36, 18, 360),
            (TensorPart.Columns(Tensor, 40, 30).RowBytes, TensorPart.Columns(Tensor, 40, 30).BytesBefore, TensorPart.Columns(Tensor, 40, 30).Bytes));
        var floats = Tensor with { Type = TensorType.F16 };
        Assert.Equal(new TensorPart(floats, 0, 10, 41, 3), TensorPart.Columns(floats, 41, 3));
    }

    [Fact]
    public void Parts_that_a_tensor_does_not_have_are_named()
    {
        Assert.Null(TensorPart.Whole(Tensor).FirstProblem());
        Assert.Contains("11 rows from 0 of blk.0.ffn_down.weight are not in its 10 rows", (TensorPart.Whole(Tensor) with { RowCount = 11 }).FirstProblem());
        Assert.Contains("rows from -1", (TensorPart.Whole(Tensor) with { FirstRow = -1 }).FirstProblem());
        Assert.Contains("rows from 9223372036854775807", (TensorPart.Whole(Tensor) with { FirstRow = long.MaxValue }).FirstProblem());
        Assert.Contains("64 columns from 96 of", (TensorPart.Whole(Tensor) with { FirstColumn = 96, ColumnCount = 64 }).FirstProblem());
        Assert.Contains("0 columns", (TensorPart.Whole(Tensor) with { ColumnCount = 0 }).FirstProblem());
        Assert.Contains(
            "32 columns from 16 of blk.0.ffn_down.weight are not whole Q4_0 blocks of 32",
            (TensorPart.Whole(Tensor) with { FirstColumn = 16, ColumnCount = 32 }).FirstProblem());
        Assert.Throws<ArgumentException>(() => TensorPart.Whole(Tensor).Check(719));
    }

    [Theory]
    [InlineData(TensorType.F32)]
    [InlineData(TensorType.Q8_0)]
    [InlineData(TensorType.Q4_0)]
    public void Columns_of_stored_weights_are_those_of_their_rows(TensorType type)
    {
        using var folder = new TempFolder();
        using var gguf = ModelFiles.Open((SyntheticModel.Small with { Type = type }).WriteGguf(folder.File("model.gguf")));
        CheckAllTensors(gguf);
    }

    [Fact]
    public void Columns_of_a_folder_are_those_of_its_rows_in_their_order()
    {
        using var folder = new TempFolder();
        using var weights = ModelFiles.Open((SyntheticModel.Small with { Type = TensorType.BF16 }).WriteHuggingFace(folder.File("hf")));
        CheckAllTensors(weights);
    }

    [Theory]
    [InlineData(TensorType.Q8_0)]
    [InlineData(TensorType.Q4_K)]
    public void Columns_of_weights_quantised_while_they_are_read_are_those_of_their_rows(TensorType type)
    {
        var wide = SyntheticModel.Small.Config with { HiddenSize = 512, FfnSize = 768, HeadSize = 128, RopeDimensionCount = 128 };
        using var weights = new QuantizedWeights((SyntheticModel.Small with { Config = wide }).Weights(), type);
        CheckAllTensors(weights);
    }

    [Theory]
    [InlineData(TensorType.Q4_0)]
    [InlineData(TensorType.Q6_K)]
    [InlineData(TensorType.F16)]
    public void Columns_of_random_weights_are_those_of_their_rows(TensorType type)
    {
        using var weights = new RandomWeights(ModelShape.Parse("hidden=512,layers=1,ffn=768,heads=4,vocab=64"), type);
        CheckAllTensors(weights);
    }

    /// <summary>Some columns of some rows of every tensor, against whole rows.</summary>
    static void CheckAllTensors(IModelWeights weights)
    {
        foreach (var tensor in weights.Tensors)
        {
            var block = tensor.Type.BlockSize();
            var columns = tensor.Columns / block / 3 * block;
            if (columns == 0) continue;
            var part = new TensorPart(tensor, tensor.Rows / 3, (tensor.Rows + 1) / 2, tensor.Columns - (2 * columns), columns);
            var actual = new byte[part.Bytes];
            weights.ReadPart(part, actual);

            var row = new byte[tensor.RowBytes];
            for (var r = 0; r < part.RowCount; r++)
            {
                weights.ReadRows(tensor, part.FirstRow + r, row);
                Assert.Equal(
                    row[(int)part.BytesBefore..(int)(part.BytesBefore + part.RowBytes)],
                    actual[(int)(r * part.RowBytes)..(int)((r + 1) * part.RowBytes)]);
            }
            weights.ReadPart(part with { FirstColumn = 0, ColumnCount = tensor.Columns }, new byte[part.RowCount * tensor.RowBytes]);
            Assert.Throws<ArgumentException>(() => weights.ReadPart(part, new byte[part.Bytes + 1]));
        }
    }
}
