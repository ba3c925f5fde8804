using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>The hashes of a sequence's prefixes that end with a block, each made from the one before; it grows as tokens do.</summary>
public sealed class PrefixChain
{
    readonly List<PrefixHash> _ends;   // [i]: of i full blocks

    PrefixChain(PrefixHash root) => _ends = [root];

    /// <summary>Of a prompt. It takes about a microsecond a block, so it is made where the request comes in, not where steps are scheduled.</summary>
    public static PrefixChain Of(PrefixHash root, ReadOnlySpan<int> prompt)
    {
        var chain = new PrefixChain(root);
        chain.Extend(prompt, prompt.Length / KvBlock.Positions);
        return chain;
    }

    /// <summary>The hash of the first <paramref name="length"/> of the sequence's tokens.</summary>
    public PrefixHash HashOf(ReadOnlySpan<int> tokens, int length)
    {
        var (blocks, rest) = Math.DivRem(length, KvBlock.Positions);
        Extend(tokens, blocks);
        return rest == 0 ? _ends[blocks] : _ends[blocks].Then(tokens.Slice(length - rest, rest));
    }

    void Extend(ReadOnlySpan<int> tokens, int blocks)
    {
        for (var next = _ends.Count; next <= blocks; next++)
            _ends.Add(_ends[^1].Then(tokens.Slice((next - 1) * KvBlock.Positions, KvBlock.Positions)));
    }
}
