using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Formats.Adapters;

/// <summary>A matrix that an adapter can change: [Rows, Columns].</summary>
/// <param name="Name">GGUF's name of the matrix.</param>
/// <param name="Layer">Null: the head.</param>
/// <param name="Part">The part of the layer, as <c>attn_q</c>.</param>
public sealed record AdapterTarget(string Name, int? Layer, string Part, int Rows, int Columns)
{
    /// <summary>Ranks share the matrix by its columns, so that their outputs add up; else by its rows.</summary>
    public bool IsSplitByColumns => Part is AdapterTargets.AttentionOutput or LlamaTensors.Down;
}

/// <summary>The matrices of a model that adapters can change: attention's in all layers, the feed-forward of dense layers, and the head.</summary>
public static class AdapterTargets
{
    public const string Value = "attn_v";
    public const string AttentionOutput = "attn_output";
    public const string Gate = "ffn_gate";
    public const string Up = "ffn_up";

    /// <summary>By name.</summary>
    public static IReadOnlyDictionary<string, AdapterTarget> Of(LlamaConfig config)
    {
        var targets = new OrderedDictionary<string, AdapterTarget>(StringComparer.Ordinal);
        var (d, q, kv) = (config.HiddenSize, config.HeadCount * config.HeadSize, config.KvHeadCount * config.HeadSize);
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            Add(layer, LlamaTensors.Query, q, d);
            Add(layer, LlamaTensors.Key, kv, d);
            Add(layer, Value, kv, d);
            Add(layer, AttentionOutput, d, q);
            if (config.HasExperts(layer)) continue;
            Add(layer, Gate, config.FfnSize, d);
            Add(layer, Up, config.FfnSize, d);
            Add(layer, LlamaTensors.Down, d, config.FfnSize);
        }
        targets.Add(LlamaTensors.Output, new AdapterTarget(LlamaTensors.Output, null, "output", config.VocabularySize, d));
        return targets;

        void Add(int layer, string part, int rows, int columns)
        {
            var name = LlamaTensors.OfLayer(layer, part);
            targets.Add(name, new AdapterTarget(name, layer, part, rows, columns));
        }
    }
}

/// <summary>What an adapter adds to the outputs of one matrix: scale * B (A x).</summary>
/// <param name="A">[R, columns of the target]</param>
/// <param name="B">[rows of the target, R], with the rows of attn_q and attn_k in GGUF's order.</param>
public sealed record AdapterPair(AdapterTarget Target, TensorInfo A, TensorInfo B, float Scale)
{
    const string EndOfA = ".lora_a";
    const string EndOfB = ".lora_b";

    /// <summary>R.</summary>
    public int Rank => (int)A.Rows;

    public static string NameOfA(string target) => target + EndOfA;

    public static string NameOfB(string target) => target + EndOfB;

    /// <summary>The matrix that a tensor of an adapter belongs to; null if its name is no such.</summary>
    public static string? TargetOf(string tensor) =>
        tensor.EndsWith(EndOfA, StringComparison.Ordinal) || tensor.EndsWith(EndOfB, StringComparison.Ordinal) ? tensor[..^EndOfA.Length] : null;
}
