using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace LlamaCluster.Primitives;

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

    /// <summary>Keys that stand one after the other.</summary>
    public static PrefixCacheKey[] ReadAll(ReadOnlySpan<byte> bytes)
    {
        var keys = new PrefixCacheKey[bytes.Length / Size];
        for (var i = 0; i < keys.Length; i++) keys[i] = Read(bytes[(i * Size)..]);
        return keys;
    }

    /// <summary>Keys, one after the other.</summary>
    public static byte[] WriteAll(ReadOnlySpan<PrefixCacheKey> keys)
    {
        var bytes = new byte[keys.Length * Size];
        for (var i = 0; i < keys.Length; i++) keys[i].Write(bytes.AsSpan(i * Size));
        return bytes;
    }

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
