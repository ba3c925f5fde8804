using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Text;

namespace LlamaCluster.Model.Tests.Formats.Paths;

public sealed class QuantizedModelPathTests
{
    static readonly string Folder = SharedFiles.Demo("hf");

    [Theory]
    [InlineData(TensorType.Q8_0)]
    [InlineData(TensorType.Q6_K)]
    [InlineData(TensorType.Q4_K)]
    [InlineData(TensorType.Q4_0)]
    public void What_is_opened_is_the_quantised_model_and_known_as_such(TensorType target)
    {
        var path = new QuantizedModelPath(Folder, target).ToString();
        using var plain = ModelFiles.Open(Folder);
        using var opened = ModelFiles.Open(path);
        using var again = ModelFiles.Open(ModelFiles.FullPath(path));

        Assert.Contains(opened.Tensors, tensor => tensor.Type == target);
        Assert.NotEqual(plain.ComputeDigest(), opened.ComputeDigest());
        Assert.Equal(opened.ComputeDigest(), again.ComputeDigest());
        Assert.Equal($"hf-{target.ToString().ToLowerInvariant()}", ModelFiles.IdOf(path));
        Assert.True(ModelFiles.Exist(path));
        Assert.Equal(ModelFiles.ChangedAt(Folder), ModelFiles.ChangedAt(path));
    }

    [Fact]
    public void Its_text_is_that_of_the_files()
    {
        var text = ModelTextReader.Open(new QuantizedModelPath(Folder, TensorType.Q4_0).ToString());
        Assert.Equal(
            ModelTextReader.Open(Folder).Tokenizer.Encode("one two", addSpecial: true, parseSpecial: false),
            text.Tokenizer.Encode("one two", addSpecial: true, parseSpecial: false));
    }

    [Fact]
    public void Quantised_while_loading_it_gives_the_bits_of_the_file_that_quantize_writes()
    {
        using var file = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));
        using var opened = ModelFiles.Open(new QuantizedModelPath(Folder, TensorType.Q8_0).ToString());
        foreach (var tensor in opened.Tensors.Where(tensor => tensor.Type == TensorType.Q8_0))
        {
            var (loaded, stored) = (new byte[tensor.Bytes], new byte[tensor.Bytes]);
            opened.ReadRows(tensor, 0, loaded);
            file.ReadRows(file.Find(tensor.Name)!, 0, stored);
            Assert.Equal(stored, loaded);
        }
    }

    [Fact]
    public void A_quantised_model_is_not_quantised_again()
    {
        var path = SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf");
        var problem = Assert.Throws<ModelFormatException>(() => ModelFiles.Open(new QuantizedModelPath(path, TensorType.Q4_0).ToString())).Message;
        Assert.StartsWith($"{path}: tensor ", problem);
        Assert.Contains("is Q8_0 already", problem);
    }

    [Theory]
    [InlineData("quantize:")]
    [InlineData("quantize:q4_0")]
    [InlineData("quantize:q4_0:")]
    [InlineData("quantize:q9:model.gguf")]
    [InlineData("quantize:f16:model.gguf")]
    [InlineData("quantize:q4_0:quantize:q8_0:model.gguf")]
    public void What_names_no_type_or_no_files_is_refused(string path)
    {
        var problem = Assert.Throws<ModelFormatException>(() => ModelFiles.Open(path)).Message;
        Assert.Contains("must be like quantize:q4_0:PATH, with one of q8_0, q6_k, q4_k, q4_0", problem);
    }

    [Fact]
    public void Files_that_are_missing_are_named() =>
        Assert.Equal("missing.gguf: no such file", Assert.Throws<ModelFormatException>(() => ModelFiles.Open("quantize:q4_0:missing.gguf")).Message);
}
