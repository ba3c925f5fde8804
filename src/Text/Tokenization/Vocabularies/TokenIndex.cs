using System.Numerics;
using System.Runtime.InteropServices;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

/// <summary>
/// Finds the token that plain text can become, by the bytes it stands for. It is a hash table with open addressing over the
/// vocabulary's own bytes, without a string or object per token, so that 128,000 tokens are indexed in milliseconds.
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

    /// <summary>Whether some token has a space after another character.</summary>
    public bool AnyHasSpaceWithin { get; private set; }

    /// <summary>Whether the index holds unused tokens, which merging may pass through but plain text never becomes.</summary>
    public bool HasUnused { get; private set; }

    /// <param name="bytes">The vocabulary's bytes.</param>
    /// <param name="keys">The tokens that plain text can become. No key is empty.</param>
    /// <param name="unused">The unused tokens. One with the same bytes as another token is left out.</param>
    /// <param name="duplicate">The ids of two tokens of <paramref name="keys"/> with the same bytes; null if there are none.</param>
    public static TokenIndex Create(
        byte[] bytes, ReadOnlySpan<TokenKey> keys, ReadOnlySpan<TokenKey> unused, out (int First, int Second)? duplicate)
    {
        duplicate = null;
        var index = new TokenIndex(bytes, (int)BitOperations.RoundUpToPowerOf2((uint)(keys.Length + unused.Length) * 3 / 2 + 2));
        foreach (var key in keys)
            if (!index.TryAdd(key, out var present)) duplicate ??= (present, key.Id);
        foreach (var key in unused) index.HasUnused |= index.TryAdd(key, out _);
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
        _longest = Math.Max(_longest, token.Length);
        AnyHasSpaceWithin |= token.TrimStart((byte)' ').Contains((byte)' ');
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

/// <summary>Start and length of a token's bytes in the vocabulary's array, and its id.</summary>
readonly record struct TokenKey(int Start, int Length, int Id);
