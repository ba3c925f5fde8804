using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Names a prefix: the model, the salt and every token up to some position. KV of the same key is the same KV. The key is the SHA-256 of the
/// key before it and the tokens since. It is not shortened, because a client who found two prefixes of one key would get text that was
/// computed from another client's prompt.
/// </summary>
public readonly record struct PrefixCacheKey(UInt128 High, UInt128 Low)
{
    /// <summary>Bytes of a key.</summary>
    public const int Size = 32;

    const int Half = Size / 2;

    /// <summary>The key of the empty prefix.</summary>
    /// <param name="salt">Prefixes of different salts are different prefixes.</param>
    public static PrefixCacheKey Root(string modelDigest, string salt)
        => Hash([.. SHA256.HashData(Encoding.UTF8.GetBytes(modelDigest)), .. Encoding.UTF8.GetBytes(salt)]);

    /// <summary>The key of this prefix and these tokens behind it; at most as many as a block has.</summary>
    public PrefixCacheKey Then(ReadOnlySpan<int> tokens)
    {
        Span<byte> bytes = stackalloc byte[Size + (KvBlock.Positions * sizeof(int))];
        Write(bytes);
        MemoryMarshal.AsBytes(tokens).CopyTo(bytes[Size..]);
        return Hash(bytes[..(Size + (tokens.Length * sizeof(int)))]);
    }

    /// <summary>The key of this prefix and the tokens from <paramref name="start"/> to <paramref name="end"/> behind it.</summary>
    public PrefixCacheKey Then(IReadOnlyList<int> tokens, int start, int end)
    {
        Span<int> next = stackalloc int[end - start];
        for (var i = 0; i < next.Length; i++) next[i] = tokens[start + i];
        return Then(next);
    }

    public static PrefixCacheKey Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt128LittleEndian(bytes), BinaryPrimitives.ReadUInt128LittleEndian(bytes[Half..]));

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt128LittleEndian(bytes, High);
        BinaryPrimitives.WriteUInt128LittleEndian(bytes[Half..], Low);
    }

    static PrefixCacheKey Hash(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[Size];
        SHA256.HashData(bytes, hash);
        return Read(hash);
    }
}

/// <summary>
/// The keys of a prompt's full blocks. They are computed once for all sequences of a request, which takes about a microsecond a block: too
/// long for the loop that schedules steps if the prompt is long, so another thread may do it.
/// </summary>
public sealed class PromptKeys(PrefixCacheKey root, IReadOnlyList<int> prompt)
{
    PrefixCacheKey[]? _ends;

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
