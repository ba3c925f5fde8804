using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using LlamaCluster.Text;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>A GGUF file: its header, its tensors, the tokenizer in it.</summary>
sealed class GgufTarget : ITarget
{
    readonly TempFolder _folder = new();

    public IReadOnlyList<byte[]> Seeds { get; } = [Tiny(), File.ReadAllBytes(SharedFiles.Fixture("models/demo/llamacluster-demo-5m-f16.head"))];

    public IReadOnlyList<string> Words { get; } =
    [
        "GGUF", "general.architecture", "llama", "general.alignment", "split.count", "split.no", "llama.block_count", "llama.embedding_length",
        "llama.vocab_size", "llama.rope.scaling.type", "tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.scores",
        "tokenizer.ggml.token_type", "tokenizer.ggml.merges", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.chat_template", "gpt2",
        "llama-bpe", "<0x0A>", "\0\0\0\0",
    ];

    public void Run(byte[] input)
    {
        var path = _folder.File("model.gguf");
        File.WriteAllBytes(path, input);
        Opened(() =>
        {
            using var weights = ModelFiles.Open(path);
            foreach (var tensor in weights.Tensors) TensorBytes.Of(weights, tensor);
        });
        Opened(() => TokenizerUse.Of(ModelTextReader.Open(path)));
    }

    public void Dispose() => _folder.Dispose();

    static void Opened(Action open)
    {
        try
        {
            open();
        }
        catch (ModelFormatException refused)
        {
            Refusals.Check(refused);
        }
    }

    static byte[] Tiny()
    {
        using var folder = new TempFolder();
        return File.ReadAllBytes(SmallModel.Of.WriteGguf(folder.File("tiny.gguf")));
    }
}

/// <summary>As small as models get.</summary>
static class SmallModel
{
    public static SyntheticModel Of { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with { LayerCount = 1, HiddenSize = 8, FfnSize = 8, HeadSize = 2, RopeDimensionCount = 2, TiedEmbeddings = true },
    };
}

/// <summary>What a tokenizer that was read is asked next.</summary>
static class TokenizerUse
{
    const string Said = "Hello  wörld <s>\n\t12345 日本 \U0001F600 <|eot_id|>'ll";

    public static void Of(ModelText text)
    {
        var ids = text.Tokenizer.Encode(Said, addSpecial: true, parseSpecial: true);
        text.Tokenizer.DecodeText(ids.ToArray(), includeControl: true);
    }
}
