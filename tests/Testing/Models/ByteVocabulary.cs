using System.Text.Json.Nodes;
using LlamaCluster.Model.Formats.Gguf;

namespace LlamaCluster.Testing.Models;

/// <summary>
/// The least vocabulary that can write any text: unknown (0), begin (1), end (2), then the 256 bytes; what is left over is unused.
/// A SentencePiece vocabulary without merges, in GGUF's form and in that of tokenizer.json.
/// </summary>
public static class ByteVocabulary
{
    public const int Unknown = 0;
    public const int Begin = 1;
    public const int End = 2;
    public const int FirstByte = 3;
    public const int LeastSize = FirstByte + 256;

    // llama.cpp's token types.
    const int UnknownType = 2;
    const int ControlType = 3;
    const int UnusedType = 5;
    const int ByteType = 6;

    /// <summary>How each id is written.</summary>
    public static string[] Tokens(int size)
    {
        if (size < LeastSize) throw new ArgumentOutOfRangeException(nameof(size), size, $"a byte vocabulary has at least {LeastSize} tokens");
        return
        [
            "<unk>", "<s>", "</s>",
            .. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"),
            .. Enumerable.Range(0, size - LeastSize).Select(i => $"<unused{i}>"),
        ];
    }

    /// <summary>Sets GGUF's <c>tokenizer.*</c> keys.</summary>
    public static void Describe(GgufPairs pairs, int size)
    {
        pairs.Set("tokenizer.ggml.model", "llama");
        pairs.Set("tokenizer.ggml.tokens", Tokens(size));
        pairs.Set("tokenizer.ggml.scores", new float[size]);
        pairs.Set("tokenizer.ggml.token_type", [.. Enumerable.Range(0, size).Select(TypeOf)]);
        pairs.Set("tokenizer.ggml.bos_token_id", (uint)Begin);
        pairs.Set("tokenizer.ggml.eos_token_id", (uint)End);
        pairs.Set("tokenizer.ggml.unknown_token_id", (uint)Unknown);
        pairs.Set("tokenizer.ggml.add_bos_token", true);
        pairs.Set("tokenizer.ggml.add_eos_token", false);
        pairs.Set("tokenizer.ggml.add_space_prefix", false);
    }

    /// <summary>The content of tokenizer.json.</summary>
    public static JsonObject Json(int size) => new()
    {
        ["version"] = "1.0",
        ["added_tokens"] = new JsonArray([.. Enumerable.Range(0, FirstByte).Select(id => (JsonNode)new JsonObject
        {
            ["id"] = id,
            ["content"] = Tokens(size)[id],
            ["special"] = true,
            ["normalized"] = false,
            ["single_word"] = false,
            ["lstrip"] = false,
            ["rstrip"] = false,
        })]),
        ["normalizer"] = null,
        ["pre_tokenizer"] = null,
        ["decoder"] = new JsonObject { ["type"] = "ByteFallback" },
        ["model"] = new JsonObject
        {
            ["type"] = "BPE",
            ["byte_fallback"] = true,
            ["fuse_unk"] = true,
            ["unk_token"] = "<unk>",
            ["vocab"] = new JsonObject(Tokens(size).Select((token, id) => KeyValuePair.Create(token, (JsonNode?)id))),
            ["merges"] = new JsonArray(),
        },
    };

    static int TypeOf(int id) => id switch
    {
        Unknown => UnknownType,
        Begin or End => ControlType,
        < LeastSize => ByteType,
        _ => UnusedType,
    };
}
