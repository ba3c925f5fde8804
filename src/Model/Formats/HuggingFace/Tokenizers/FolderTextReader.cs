using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Model.Formats.HuggingFace.Tokenizers;

/// <summary>
/// Makes the tokenizer of a Hugging Face folder: from tokenizer.json, else from tokenizer.model, and from the small files beside it.
/// </summary>
sealed class FolderTextReader(string folder)
{
    readonly TextSettings _settings = new(folder);

    public ModelText Read() =>
        new(ReadTokenizer(), _settings.ChatTemplate(), _settings.SpecialToken("bos_token"), _settings.SpecialToken("eos_token"));

    Tokenizer ReadTokenizer()
    {
        var json = Path.Combine(folder, "tokenizer.json");
        if (File.Exists(json)) return new TokenizerJsonReader(TokenizerJson.Read(json), _settings).Read();
        var model = Path.Combine(folder, "tokenizer.model");
        if (File.Exists(model)) return new SentencePieceReader(model, _settings).Read();
        throw new ModelFormatException($"{folder}: has neither tokenizer.json nor tokenizer.model");
    }
}
