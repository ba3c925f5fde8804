using LlamaCluster.Model.Formats.Paths;

namespace LlamaCluster.Model.Tests.Formats;

public sealed class ModelIdTests
{
    [Theory]
    [InlineData("/models/llama-3.1-8b-q4_0.gguf", "llama-3.1-8b-q4_0")]
    [InlineData("/models/Big-Q4_K_M-00001-of-00012.gguf", "Big-Q4_K_M")]
    [InlineData("/models/Llama-3.2-1B-Instruct", "Llama-3.2-1B-Instruct")]
    [InlineData("/models/Llama-3.2-1B-Instruct/", "Llama-3.2-1B-Instruct")]
    [InlineData("model.GGUF", "model")]
    public void A_model_is_called_after_its_path(string path, string id) => Assert.Equal(id, ModelFiles.IdOf(path));
}
