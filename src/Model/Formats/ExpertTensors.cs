using System.Globalization;

namespace LlamaCluster.Model.Formats;

/// <summary>
/// Names of experts' matrices. Files hold those of a layer stacked in one tensor of three dimensions (<c>blk.N.ffn_gate_exps.weight</c>). This program
/// takes each for a matrix of its own, with the name that GGUF files had for it before there were stacks: <c>blk.N.ffn_gate.E.weight</c>. So what
/// loads, sends and keeps matrices needs to know nothing of experts.
/// </summary>
public static class ExpertTensors
{
    /// <summary>The part of a layer that chooses experts; see <see cref="LlamaTensors.OfLayer(int, string)"/>.</summary>
    public const string Router = "ffn_gate_inp";

    /// <summary>What the parts of a layer's shared expert end with.</summary>
    public const string Shared = "_shexp";

    const string StackEnd = "_exps";
    const string WeightEnd = ".weight";

    static readonly string[] Parts = ["ffn_gate", "ffn_up", "ffn_down"];

    /// <summary>What the parts of an expert end with: it follows <c>ffn_gate</c>, <c>ffn_up</c> or <c>ffn_down</c>.</summary>
    public static string Suffix(int expert) => string.Create(CultureInfo.InvariantCulture, $".{expert}");

    /// <summary>Whether a tensor is a router's. Routers decide by small differences, and are never quantised.</summary>
    public static bool IsRouter(string name) => name.EndsWith($".{Router}{WeightEnd}", StringComparison.Ordinal);

    /// <summary>Whether a tensor is of an expert that all tokens use.</summary>
    public static bool IsShared(string name) => name.EndsWith(Shared + WeightEnd, StringComparison.Ordinal);

    /// <summary>Whether a name is a stack's.</summary>
    public static bool IsStack(string name) => name.Split('.') is ["blk", _, var part, "weight"] && Parts.Any(known => part == known + StackEnd);

    /// <summary>What a stack's expert is called.</summary>
    public static string InStack(string stack, int expert) =>
        string.Create(CultureInfo.InvariantCulture, $"{stack.AsSpan(0, stack.Length - StackEnd.Length - WeightEnd.Length)}.{expert}{WeightEnd}");

    /// <summary>The stack that an expert's matrix is of, and which of it; null if the name is not an expert's.</summary>
    public static (string Stack, int Expert)? StackOf(string name) =>
        name.Split('.') is ["blk", var layer, var part, var number, "weight"] && Parts.Contains(part)
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var expert)
            ? ($"blk.{layer}.{part}{StackEnd}{WeightEnd}", expert)
            : null;

    /// <summary>What files call the tensor: an expert's is that of its stack.</summary>
    public static string NameInFiles(string name) =>
        StackOf(name) is var (stack, expert) ? string.Create(CultureInfo.InvariantCulture, $"{stack} (expert {expert})") : name;
}
