using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Adapters;

/// <summary>A matrix that an adapter can change: [Rows, Columns].</summary>
/// <param name="Name">GGUF's name of the matrix.</param>
/// <param name="Layer">Null: the embedding or the head.</param>
/// <param name="Part">The part of the layer, as <c>attn_q</c>.</param>
public sealed record AdapterTarget(string Name, int? Layer, string Part, int Rows, int Columns)
{
    /// <summary>Ranks share the matrix by its columns, so that their outputs add up; else by its rows.</summary>
    public bool IsSplitByColumns => Part is AdapterTargets.AttentionOutput or LlamaTensors.Down;

    /// <summary>[V, D], of which a token takes a row; no product is made with it.</summary>
    public bool IsEmbedding => Part == AdapterTargets.Embedding;

    /// <summary>[V, D], which gives logits.</summary>
    public bool IsHead => Part == AdapterTargets.Head;

    /// <summary>Its rows are ids: as many as the vocabulary of who uses it has.</summary>
    public bool IsOfVocabulary => Layer is null;
}

/// <summary>
/// The matrices of a model that adapters can change: the embedding, attention's in all layers, the feed-forward of dense layers, and the head.
/// </summary>
public static class AdapterTargets
{
    public const string Embedding = "token_embd";
    public const string Head = "output";
    public const string Value = "attn_v";
    public const string AttentionOutput = "attn_output";
    public const string Gate = "ffn_gate";
    public const string Up = "ffn_up";

    /// <summary>By name, in the order of the forward pass.</summary>
    public static IReadOnlyDictionary<string, AdapterTarget> Of(LlamaConfig config) => Of(config, config.VocabularySize);

    /// <summary>By name, for an adapter with a vocabulary of its own.</summary>
    /// <param name="vocabularySize">Rows of the embedding and of the head.</param>
    public static IReadOnlyDictionary<string, AdapterTarget> Of(LlamaConfig config, int vocabularySize)
    {
        var targets = new OrderedDictionary<string, AdapterTarget>(StringComparer.Ordinal);
        var d = config.HiddenSize;
        targets.Add(LlamaTensors.Embedding, new AdapterTarget(LlamaTensors.Embedding, null, Embedding, vocabularySize, d));
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            var sizes = config.SizesOf(layer);
            var (q, kv, f) = (sizes.HeadCount * config.HeadSize, sizes.KvHeadCount * config.HeadSize, sizes.FfnSize);
            if (sizes.HasAttention)
            {
                Add(layer, LlamaTensors.Query, q, d);
                Add(layer, LlamaTensors.Key, kv, d);
                Add(layer, Value, kv, d);
                Add(layer, AttentionOutput, d, q);
            }
            else if (sizes.IsLinear) Add(layer, AttentionOutput, d, d);
            if (config.HasExperts(layer) || !sizes.HasFeedForward) continue;
            Add(layer, Gate, f, d);
            Add(layer, Up, f, d);
            Add(layer, LlamaTensors.Down, d, f);
        }
        targets.Add(LlamaTensors.Output, new AdapterTarget(LlamaTensors.Output, null, Head, vocabularySize, d));
        return targets;

        void Add(int layer, string part, int rows, int columns)
        {
            var name = LlamaTensors.OfLayer(layer, part);
            targets.Add(name, new AdapterTarget(name, layer, part, rows, columns));
        }
    }
}

/// <summary>
/// What an adapter adds to the outputs of one matrix: scale * B (A x). To a row of the embedding it adds scale * B a, where a is the token's row of A.
/// </summary>
/// <param name="A">[R, columns of the target]; of the embedding [V, R].</param>
/// <param name="B">[rows of the target, R], with the rows of attn_q and attn_k in GGUF's order; of the embedding [D, R].</param>
public sealed record AdapterPair(AdapterTarget Target, TensorInfo A, TensorInfo B, float Scale)
{
    const string EndOfA = ".lora_a";
    const string EndOfB = ".lora_b";

    /// <summary>R.</summary>
    public int Rank => (int)B.Columns;

    public static string NameOfA(string target) => target + EndOfA;

    public static string NameOfB(string target) => target + EndOfB;

    /// <summary>The matrix that a tensor of an adapter belongs to; null if its name is no such.</summary>
    public static string? TargetOf(string tensor) =>
        tensor.EndsWith(EndOfA, StringComparison.Ordinal) || tensor.EndsWith(EndOfB, StringComparison.Ordinal) ? tensor[..^EndOfA.Length] : null;
}

/// <summary>A matrix that an adapter brings whole, in the place of the model's: the embedding or the head.</summary>
/// <param name="Tensor">[V, D] of the adapter's vocabulary. A head may be the adapter's embedding.</param>
public sealed record AdapterReplacement(AdapterTarget Target, TensorInfo Tensor);

/// <summary>What an adapter consists of.</summary>
/// <param name="Pairs">By target, in the order of the forward pass.</param>
/// <param name="Replacements">Of the embedding, of the head, of both or of none.</param>
/// <param name="VocabularySize">V of the sequences that use it; the model's, or more.</param>
/// <param name="LayerCount">Of the model.</param>
public sealed record AdapterContent(IReadOnlyList<AdapterPair> Pairs, IReadOnlyList<AdapterReplacement> Replacements, int VocabularySize, int LayerCount)
{
    /// <summary>An adapter in F16 on all matrices of the layers, for reckoning.</summary>
    public static AdapterContent OnAllMatrices(LlamaConfig config, int rank) => new(
        [.. AdapterTargets.Of(config).Values.Where(target => target.Layer is not null).Select(target => new AdapterPair(
            target, new TensorInfo(AdapterPair.NameOfA(target.Name), TensorType.F16, rank, target.Columns),
            new TensorInfo(AdapterPair.NameOfB(target.Name), TensorType.F16, target.Rows, rank), Scale: 1))],
        [], config.VocabularySize, config.LayerCount);

    /// <summary>Of the tensors.</summary>
    public long Bytes => Tensors.Sum(tensor => tensor.Bytes);

    /// <summary>0: there are no pairs.</summary>
    public int MaxRank => Pairs.Select(pair => pair.Rank).DefaultIfEmpty().Max();

    /// <summary>Each once.</summary>
    public IEnumerable<TensorInfo> Tensors =>
        Pairs.SelectMany(pair => new[] { pair.A, pair.B }).Concat(Replacements.Select(replacement => replacement.Tensor).Distinct());
}
