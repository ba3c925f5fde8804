using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Testing.Models;

/// <summary>
/// A small Llama of a chosen shape with random weights that depend on the seed only, and are of sizes at which the forward pass
/// is stable. Use <see cref="Weights"/> in memory, or write it with <see cref="WriteGguf"/> or <see cref="WriteHuggingFace"/>:
/// all three hold the same numbers, rounded to the types asked for.
/// </summary>
/// <remarks>Change facts with <c>with</c>: <c>SyntheticModel.Small with { Type = TensorType.Q8_0 }</c>.</remarks>
public sealed record SyntheticModel
{
    /// <summary>3 layers, hidden 64, ffn 96, 4 heads over 2 KV heads of 16, vocabulary 288, context 256; every type of block size 32 fits.</summary>
    public static SyntheticModel Small { get; } = new();

    public LlamaConfig Config { get; init; } = new()
    {
        LayerCount = 3,
        HiddenSize = 64,
        FfnSize = 96,
        HeadCount = 4,
        KvHeadCount = 2,
        HeadSize = 16,
        VocabularySize = 288,
        ContextLength = 256,
        RmsEpsilon = 1e-5f,
        RopeTheta = 10_000,
        RopeDimensionCount = 16,
        TiedEmbeddings = false,
    };

    public int Seed { get; init; } = 1;

    public string Name { get; init; } = "synthetic";

    /// <summary>Of matrices; vectors are F32.</summary>
    public TensorType Type { get; init; } = TensorType.F32;

    /// <summary>The model in memory, without any file.</summary>
    public SyntheticWeights Weights() => new(this);

    /// <summary>The numbers of one tensor in F32 and GGUF's order, [Rows, Columns].</summary>
    public float[] Values(TensorShape shape) => SyntheticValues.Of(Seed, shape, Config);

    /// <summary>Writes a GGUF file, or several if <paramref name="parts"/> is above 1; gives the path to open.</summary>
    /// <param name="path">Of the whole file; parts are named after it.</param>
    /// <param name="tokenizer">Sets the keys <c>tokenizer.*</c>; else the file gets <see cref="ByteVocabulary"/>'s.</param>
    public string WriteGguf(string path, int parts = 1, Action<Model.Formats.Gguf.GgufPairs>? tokenizer = null) =>
        new SyntheticGguf(this, tokenizer ?? (pairs => ByteVocabulary.Describe(pairs, Config.VocabularySize))).Write(path, parts);

    /// <summary>Writes a folder as the transformers library does; <see cref="Type"/> must be F32, F16 or BF16. Gives the folder.</summary>
    /// <param name="shards">Files that the tensors are spread over; above 1 there is an index.</param>
    public string WriteHuggingFace(string folder, int shards = 1) => new SyntheticFolder(this).Write(folder, shards);
}
