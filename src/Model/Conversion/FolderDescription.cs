using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;

namespace LlamaCluster.Model.Conversion;

/// <summary>GGUF metadata of a model in a Hugging Face folder: name, config, tokenizer, chat template.</summary>
static class FolderDescription
{
    public static GgufPairs Of(string folder, IModelWeights weights)
    {
        var pairs = new GgufPairs();
        pairs.Set("general.type", "model");
        pairs.Set("general.name", weights.Name);
        GgufConfigWriter.Write(pairs, weights.Config);
        new FolderTokenizer(folder, weights.Config.VocabularySize).Write(pairs);
        return pairs;
    }
}
