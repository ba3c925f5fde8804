using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d (q - 1), 256 columns a block.</summary>
readonly unsafe struct TQ2_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 2;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var codes = stored.Slice(block / 4 * 32, 32);
        var shift = block % 4 * 2;
        return new(StoredBits.Field(codes, shift, 3), StoredBits.Field(codes[16..], shift, 3), StoredBits.Half(stored, 64));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TSums, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        CodePlanes.Load<TLanes, TSums, V>(planes, CodeBits, out upper);

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 1);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TSums.Of4Bits(codes, x), -1, x), scales.Scale, x);
}

/// <summary>d (q - 1) with ternary q, 256 columns a block. Packed as 7 bytes for 32 columns, five digits in a byte: four in a word, then A, B and C.</summary>
readonly unsafe struct TQ1_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 3;

    public static int CodeBits => 1;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var bytes = 0ul;
        for (var at = 0; at < 7; at++)
        {
            var number = 0;
            for (var i = 5 * at; i < 5 * at + 5; i++) number = 3 * number + (i < 32 ? BlocksOfTables.DigitOfTQ1_0(stored, 32 * block + i) : 0);
            bytes |= (ulong)((number * 256 + 242) / 243) << (8 * at);
        }
        var words = Vector128.Create(bytes, 0).AsByte();
        return new(words, default, StoredBits.Half(stored, 52), A: (byte)(bytes >> 32), B: (byte)(bytes >> 40), C: (byte)(bytes >> 48));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.StoreWords(planes, CodeBits, block.First);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TSums, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var columns = stackalloc byte[40];
        Unsafe.SkipInit(out Codes<V> codes);
        var words = (uint*)Unsafe.AsPointer(ref codes);
        for (var lane = 0; lane < TLanes.Count; lane++, small++, planes += sizeof(uint))
        {
            for (var i = 0; i < 4; i++) Unsafe.WriteUnaligned(columns + 5 * i, GridTables.Digits[planes[i]]);
            for (var i = 0; i < 3; i++) Unsafe.WriteUnaligned(columns + 20 + 5 * i, GridTables.Digits[small[i * RowGroup.Rows]]);
            for (var i = 0; i < 8; i++) words[i * TLanes.Count + lane] = Unsafe.ReadUnaligned<uint>(columns + 4 * i);
        }
        upper = default;
        return codes;
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 1);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TSums.Of4Bits(codes, x), -1, x), scales.Scale, x);
}

/// <summary>d or -d, 128 columns a block.</summary>
readonly unsafe struct Q1_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 4;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 1;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var bits = BinaryPrimitives.ReadUInt32LittleEndian(stored[(2 + 4 * block)..]);
        return new(StoredBits.Spread(bits, 1), StoredBits.Spread(bits >> 16, 1), StoredBits.Half(stored, 0));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TSums, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        CodePlanes.Load<TLanes, TSums, V>(planes, CodeBits, out upper);

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (2 * code - 1);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var sum = TSums.Of4Bits(codes, x);
        return Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TLanes.Add(sum, sum), -1, x), scales.Scale, x);
    }
}

/// <summary>d (q - 1), 64 columns a block, four consecutive ones in a byte.</summary>
readonly unsafe struct Q2_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 2;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 2;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var bytes = stored.Slice(2 + 8 * block, 8);
        return new(Columns(bytes), Columns(bytes[4..]), StoredBits.Half(stored, 0));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TSums, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        CodePlanes.Load<TLanes, TSums, V>(planes, CodeBits, out upper);

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 1);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TSums.Of4Bits(codes, x), -1, x), scales.Scale, x);

    /// <summary>16 columns out of 4 bytes.</summary>
    [MethodImpl(AggressiveInlining)]
    static Vector128<byte> Columns(ReadOnlySpan<byte> bytes)
    {
        var four = Vector128.Create(bytes[0], bytes[1], bytes[2], (uint)bytes[3]);
        var columns = four | four << 6 | four << 12 | four << 18;
        return (columns & Vector128.Create(0x0303_0303u)).AsByte();
    }
}
