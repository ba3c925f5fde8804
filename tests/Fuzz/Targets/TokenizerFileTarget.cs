using System.Text;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>The tokenizer's file in a folder that has no other one: tokenizer.json, or SentencePiece's tokenizer.model.</summary>
sealed class TokenizerFileTarget : ITarget
{
    readonly TempFolder _folder = new();
    readonly string _name;

    public TokenizerFileTarget(string name)
    {
        _name = name;
        SmallModel.Of.WriteHuggingFace(_folder.Path);
        if (name != "tokenizer.json") File.Delete(_folder.File("tokenizer.json"));
        Seeds = name == "tokenizer.json"
            ? [
                Encoding.UTF8.GetBytes(ByteVocabulary.Json(ByteVocabulary.LeastSize).ToJsonString()),
                File.ReadAllBytes(SharedFiles.Fixture("tokenizers/llama2/tokenizer.json")),
            ]
            : [File.ReadAllBytes(SharedFiles.Fixture("tokenizers/sentencepiece/tokenizer.model"))];
    }

    public IReadOnlyList<byte[]> Seeds { get; }

    public IReadOnlyList<string> Words { get; } =
    [
        "\"model\"", "\"type\"", "\"BPE\"", "\"vocab\"", "\"merges\"", "\"added_tokens\"", "\"special\"", "\"content\"", "\"id\"", "\"normalizer\"",
        "\"pre_tokenizer\"", "\"decoder\"", "\"post_processor\"", "\"Sequence\"", "\"ByteLevel\"", "\"Split\"", "\"Regex\"", "\"pattern\"", "\"Prepend\"",
        "\"Replace\"", "\"Metaspace\"", "\"TemplateProcessing\"", "\"byte_fallback\"", "\"unk_token\"", "\"ignore_merges\"", "[", "]", "{", "}", ",", ":",
        "null", "true", "\"\\ud800\"", "\\u2581", "<0x0A>", "(?i:'s)", "\x08\x01", "\x0a\x00", "\x12\x04",
    ];

    public void Run(byte[] input)
    {
        File.WriteAllBytes(_folder.File(_name), input);
        try
        {
            TokenizerUse.Of(ModelTextReader.Open(_folder.Path));
        }
        catch (ModelFormatException refused)
        {
            Refusals.Check(refused);
        }
    }

    public void Dispose() => _folder.Dispose();
}
