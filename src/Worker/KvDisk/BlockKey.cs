using System.Buffers.Binary;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>Names what a full KV block holds. The coordinator chooses it: a hash over model, salt and all tokens up to the block's end.</summary>
readonly record struct BlockKey(UInt128 High, UInt128 Low)
{
    /// <summary>Bytes of a key.</summary>
    public const int Size = 32;

    const int Half = Size / 2;

    public static BlockKey Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt128LittleEndian(bytes), BinaryPrimitives.ReadUInt128LittleEndian(bytes[Half..]));

    /// <summary>Keys that stand one after the other.</summary>
    public static BlockKey[] ReadAll(ReadOnlySpan<byte> bytes)
    {
        var keys = new BlockKey[bytes.Length / Size];
        for (var i = 0; i < keys.Length; i++) keys[i] = Read(bytes[(i * Size)..]);
        return keys;
    }

    /// <summary>Keys, one after the other.</summary>
    public static byte[] WriteAll(ReadOnlySpan<BlockKey> keys)
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
}
