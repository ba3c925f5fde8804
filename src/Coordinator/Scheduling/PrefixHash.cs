using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// What a KV block depends on: the model and every token up to some position, as SHA-256 over the hash of what comes before and the
/// tokens since. All its 256 bits count, since a client who found two prefixes of one hash would be answered from another's cache.
/// </summary>
public readonly record struct PrefixHash(UInt128 High, UInt128 Low)
{
    const int Size = 32;

    /// <summary>Of no tokens yet.</summary>
    /// <param name="salt">Prefixes of different salts are different prefixes.</param>
    public static PrefixHash Root(string modelDigest, string salt)
        => Of([.. SHA256.HashData(Encoding.UTF8.GetBytes(modelDigest)), .. Encoding.UTF8.GetBytes(salt)]);

    /// <summary>Of these tokens after what this one is of; at most a block's.</summary>
    public PrefixHash Then(ReadOnlySpan<int> tokens)
    {
        Span<byte> bytes = stackalloc byte[Size + (KvBlock.Positions * sizeof(int))];
        BinaryPrimitives.WriteUInt128LittleEndian(bytes, High);
        BinaryPrimitives.WriteUInt128LittleEndian(bytes[(Size / 2)..], Low);
        MemoryMarshal.AsBytes(tokens).CopyTo(bytes[Size..]);
        return Of(bytes[..(Size + (tokens.Length * sizeof(int)))]);
    }

    static PrefixHash Of(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[Size];
        SHA256.HashData(bytes, hash);
        return new PrefixHash(BinaryPrimitives.ReadUInt128LittleEndian(hash), BinaryPrimitives.ReadUInt128LittleEndian(hash[(Size / 2)..]));
    }
}
