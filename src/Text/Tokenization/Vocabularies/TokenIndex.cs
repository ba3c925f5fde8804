using System.Numerics;
using System.Runtime.InteropServices;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

/// <summary>
/// Finds the token that plain text can become, by the bytes it stands for. A hash table with open addressing over the
/// vocabulary's own bytes: no string and no object per token, so that 128,000 of them are indexed in milliseconds.
/// </summary>
sealed class TokenIndex
{
    readonly byte[] _bytes;
    readonly Slot[] _slots;
    readonly int _mask;
    int _longest;

    TokenIndex(byte[] bytes, int capacity)
    {
        _bytes = bytes;
        _slots = new Slot[capacity];
        _mask = capacity - 1;
    }

    /// <summary>Some token has a space after something else.</summary>
    public bool AnyHasSpaceWithin { get; private set; }

    /// <param name="keys">Start and length of each token's bytes in <paramref name="bytes"/>, and its id. No key is empty.</param>
    /// <param name="duplicate">The ids of two tokens with the same bytes, if there are such.</param>
    public static TokenIndex Create(byte[] bytes, ReadOnlySpan<TokenKey> keys, out (int First, int Second)? duplicate)
    {
        duplicate = null;
        var index = new TokenIndex(bytes, (int)BitOperations.RoundUpToPowerOf2((uint)keys.Length * 3 / 2 + 2));
        foreach (var key in keys)
        {
            if (!index.TryAdd(key, out var present)) duplicate ??= (present, key.Id);
            var token = bytes.AsSpan(key.Start, key.Length);
            index._longest = Math.Max(index._longest, token.Length);
            index.AnyHasSpaceWithin |= token.TrimStart((byte)' ').Contains((byte)' ');
        }
        return index;
    }

    public bool TryFind(ReadOnlySpan<byte> token, out int id)
    {
        id = -1;
        if (token.Length > _longest || token.IsEmpty) return false;
        ref var slot = ref Find(token, Hash(token));
        if (slot.Length == 0) return false;
        id = slot.Id;
        return true;
    }

    bool TryAdd(TokenKey key, out int present)
    {
        var token = _bytes.AsSpan(key.Start, key.Length);
        var hash = Hash(token);
        ref var slot = ref Find(token, hash);
        present = slot.Id;
        if (slot.Length != 0) return false;
        slot = new Slot(hash, key.Id, key.Start, key.Length);
        return true;
    }

    /// <summary>The slot that holds the token, or the free one where it belongs.</summary>
    ref Slot Find(ReadOnlySpan<byte> token, uint hash)
    {
        for (var at = (int)hash & _mask; ; at = (at + 1) & _mask)
        {
            ref var slot = ref _slots[at];
            if (slot.Length == 0) return ref slot;
            if (slot.Hash == hash && token.SequenceEqual(_bytes.AsSpan(slot.Start, slot.Length))) return ref slot;
        }
    }

    static uint Hash(ReadOnlySpan<byte> token)
    {
        const ulong Multiplier = 0x9E3779B97F4A7C15;
        var hash = (ulong)token.Length * Multiplier;
        for (; token.Length >= sizeof(ulong); token = token[sizeof(ulong)..]) hash = Mix(hash ^ MemoryMarshal.Read<ulong>(token));
        ulong rest = 0;
        foreach (var value in token) rest = rest << 8 | value;
        return (uint)(Mix(hash ^ rest) >> 16);

        static ulong Mix(ulong value)
        {
            value *= Multiplier;
            return value ^ value >> 29;
        }
    }

    readonly record struct Slot(uint Hash, int Id, int Start, int Length);
}

/// <summary>Where the bytes of a token that plain text can become are in the vocabulary's array.</summary>
readonly record struct TokenKey(int Start, int Length, int Id);
