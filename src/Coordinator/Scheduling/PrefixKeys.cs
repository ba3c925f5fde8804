using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// The keys of a prompt's full blocks. They are computed once for all sequences of a request, which takes about a microsecond a block: too
/// long for the loop that schedules steps if the prompt is long, so another thread may do it.
/// </summary>
public sealed class PromptKeys(PrefixCacheKey root, IReadOnlyList<int> prompt)
{
    PrefixCacheKey[]? _ends;

    /// <summary>Those of a request's prompt. Requests with different salts, or different adapters, have different keys.</summary>
    /// <param name="model">What else tells KV of different numbers apart.</param>
    public static PromptKeys Of(SequenceRequest request, string model) =>
        new(PrefixCacheKey.Root(request.Adapter is { } adapter ? model + adapter.Digest : model, request.CacheSalt), request.Prompt);

    /// <summary>They have been computed. Safe to ask from any thread.</summary>
    public bool AreKnown => Volatile.Read(ref _ends) is not null;

    /// <summary>The prompt is so short that its keys are computed sooner than another thread is asked to.</summary>
    public bool IsShort => prompt.Count <= 64 * KvBlock.Positions;

    /// <summary>[i]: the key of the first i blocks.</summary>
    internal ReadOnlySpan<PrefixCacheKey> Ends => _ends;

    /// <summary>Computes them, on another thread if the prompt is long.</summary>
    /// <param name="known">Called from that thread when they are known.</param>
    public void ComputeSoon(Action known)
    {
        if (AreKnown) return;
        if (IsShort)
        {
            Compute();
            return;
        }
        _ = Task.Run(() =>
        {
            Compute();
            known();
        });
    }

    public void Compute()
    {
        var ends = new PrefixCacheKey[1 + (prompt.Count / KvBlock.Positions)];
        ends[0] = root;
        for (var i = 1; i < ends.Length; i++) ends[i] = ends[i - 1].Then(prompt, (i - 1) * KvBlock.Positions, i * KvBlock.Positions);
        Volatile.Write(ref _ends, ends);
    }
}

/// <summary>The keys of all prefixes of a sequence: those of its prompt's blocks, and those of later blocks, which come as tokens do.</summary>
/// <param name="prompt">Known before the first key is asked for.</param>
public sealed class SequenceKeys(PromptKeys prompt, TokenHistory tokens)
{
    readonly List<PrefixCacheKey> _later = [];

    public bool AreKnown => prompt.AreKnown;

    /// <summary>The key of the first <paramref name="length"/> tokens.</summary>
    public PrefixCacheKey Of(int length)
    {
        var (blocks, rest) = Math.DivRem(length, KvBlock.Positions);
        var end = EndOf(blocks);
        return rest == 0 ? end : end.Then(tokens, length - rest, length);
    }

    PrefixCacheKey EndOf(int blocks)
    {
        var ends = prompt.Ends;
        if (blocks < ends.Length) return ends[blocks];
        for (var next = ends.Length + _later.Count; next <= blocks; next++)
            _later.Add((_later.Count == 0 ? ends[^1] : _later[^1]).Then(tokens, (next - 1) * KvBlock.Positions, next * KvBlock.Positions));
        return _later[blocks - ends.Length];
    }
}
