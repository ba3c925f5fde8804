using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Scores of queries with keys, q . k / <see cref="IKvFormat.Unit"/>. One lane is one position, and its products are added up over the head's dimensions in
/// order: how many queries and blocks are taken at a time changes no bit. Enough of them are taken that the multipliers need not wait for one another's
/// results.
/// </summary>
/// <param name="layout">Layout of the head tiles.</param>
sealed unsafe class KeyScores<TLanes, TKv>(KvBlockLayout layout)
    where TLanes : unmanaged, IFloatLanes<TLanes>
    where TKv : struct, IKvFormat
{
    const int Lanes = LaneMath<TLanes>.Count;
    const int Tile = AttentionKernel.TilePositions;
    const int Ahead = AttentionKernel.BlocksPerTile;

    readonly int _headSize = layout.HeadSize;
    readonly long _keys = layout.Keys;

    /// <summary>Bytes of two dimensions of 16 positions.</summary>
    static int PairBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2 * Lanes * TKv.Bytes;
    }

    /// <summary>scores[queries, 64] = queries[queries, E] . keys of the first <paramref name="count"/> blocks.</summary>
    /// <param name="blocks">Head tiles of a tile's blocks and, behind them, those that will be needed next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Compute(byte** blocks, int count, float* queries, int queryCount, float* scores)
    {
        var q = 0;
        for (; TLanes.Registers == 1 && q + 8 <= queryCount && count % 2 == 0; q += 8, queries += 8 * _headSize, scores += 8 * Tile)
            for (var b = 0; b < count; b += 2) Score8x2(blocks + b, queries, scores + (b * Lanes));
        for (; q + 4 <= queryCount; q += 4, queries += 4 * _headSize, scores += 4 * Tile)
        {
            var b = 0;
            for (; TLanes.Registers == 1 && b + 2 <= count; b += 2) Score4x2(blocks + b, queries, scores + (b * Lanes));
            for (; b < count; b++) Score4x1(blocks + b, queries, scores + (b * Lanes));
        }

        for (; q < queryCount; q++, queries += _headSize, scores += Tile)
        {
            if (count == AttentionKernel.BlocksPerTile) Score1x4(blocks, queries, scores);
            else
                for (var b = 0; b < count; b++) Score1x1(blocks[b], queries, scores + (b * Lanes));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score8x2(byte** blocks, float* queries, float* scores)
    {
        var size = _headSize;
        byte* keyA = blocks[0] + _keys, keyB = blocks[1] + _keys;
        long nextA = blocks[Ahead] - blocks[0], nextB = blocks[Ahead + 1] - blocks[1];
        float* q0 = queries, q1 = q0 + size, q2 = q1 + size, q3 = q2 + size, q4 = q3 + size, q5 = q4 + size, q6 = q5 + size, q7 = q6 + size;
        TLanes a0 = TLanes.Broadcast(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
        TLanes b0 = a0, b1 = a0, b2 = a0, b3 = a0, b4 = a0, b5 = a0, b6 = a0, b7 = a0;
        for (long e = 0; e < size; e += 2, keyA += PairBytes, keyB += PairBytes)
        {
            Prefetch(keyA + nextA);
            Prefetch(keyB + nextB);
            TKv.Load<TLanes>(keyA, out var firstA, out var secondA);
            TKv.Load<TLanes>(keyB, out var firstB, out var secondB);
            TLanes one = TLanes.Broadcast(q0[e]), two = TLanes.Broadcast(q0[e + 1]);
            a0 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a0));
            b0 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b0));
            (one, two) = (TLanes.Broadcast(q1[e]), TLanes.Broadcast(q1[e + 1]));
            a1 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a1));
            b1 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b1));
            (one, two) = (TLanes.Broadcast(q2[e]), TLanes.Broadcast(q2[e + 1]));
            a2 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a2));
            b2 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b2));
            (one, two) = (TLanes.Broadcast(q3[e]), TLanes.Broadcast(q3[e + 1]));
            a3 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a3));
            b3 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b3));
            (one, two) = (TLanes.Broadcast(q4[e]), TLanes.Broadcast(q4[e + 1]));
            a4 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a4));
            b4 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b4));
            (one, two) = (TLanes.Broadcast(q5[e]), TLanes.Broadcast(q5[e + 1]));
            a5 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a5));
            b5 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b5));
            (one, two) = (TLanes.Broadcast(q6[e]), TLanes.Broadcast(q6[e + 1]));
            a6 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a6));
            b6 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b6));
            (one, two) = (TLanes.Broadcast(q7[e]), TLanes.Broadcast(q7[e + 1]));
            a7 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a7));
            b7 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b7));
        }
        LaneMath<TLanes>.Store4(scores, Tile, a0, a1, a2, a3);
        LaneMath<TLanes>.Store4(scores + (4 * Tile), Tile, a4, a5, a6, a7);
        LaneMath<TLanes>.Store4(scores + Lanes, Tile, b0, b1, b2, b3);
        LaneMath<TLanes>.Store4(scores + (4 * Tile) + Lanes, Tile, b4, b5, b6, b7);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score4x2(byte** blocks, float* queries, float* scores)
    {
        var size = _headSize;
        byte* keyA = blocks[0] + _keys, keyB = blocks[1] + _keys;
        long nextA = blocks[Ahead] - blocks[0], nextB = blocks[Ahead + 1] - blocks[1];
        float* q0 = queries, q1 = q0 + size, q2 = q1 + size, q3 = q2 + size;
        TLanes a0 = TLanes.Broadcast(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
        for (long e = 0; e < size; e += 2, keyA += PairBytes, keyB += PairBytes)
        {
            Prefetch(keyA + nextA);
            Prefetch(keyB + nextB);
            TKv.Load<TLanes>(keyA, out var firstA, out var secondA);
            TKv.Load<TLanes>(keyB, out var firstB, out var secondB);
            TLanes query = TLanes.Broadcast(q0[e]), second = TLanes.Broadcast(q0[e + 1]);
            a0 = TLanes.MultiplyAdd(second, secondA, TLanes.MultiplyAdd(query, firstA, a0));
            b0 = TLanes.MultiplyAdd(second, secondB, TLanes.MultiplyAdd(query, firstB, b0));
            (query, second) = (TLanes.Broadcast(q1[e]), TLanes.Broadcast(q1[e + 1]));
            a1 = TLanes.MultiplyAdd(second, secondA, TLanes.MultiplyAdd(query, firstA, a1));
            b1 = TLanes.MultiplyAdd(second, secondB, TLanes.MultiplyAdd(query, firstB, b1));
            (query, second) = (TLanes.Broadcast(q2[e]), TLanes.Broadcast(q2[e + 1]));
            a2 = TLanes.MultiplyAdd(second, secondA, TLanes.MultiplyAdd(query, firstA, a2));
            b2 = TLanes.MultiplyAdd(second, secondB, TLanes.MultiplyAdd(query, firstB, b2));
            (query, second) = (TLanes.Broadcast(q3[e]), TLanes.Broadcast(q3[e + 1]));
            a3 = TLanes.MultiplyAdd(second, secondA, TLanes.MultiplyAdd(query, firstA, a3));
            b3 = TLanes.MultiplyAdd(second, secondB, TLanes.MultiplyAdd(query, firstB, b3));
        }
        LaneMath<TLanes>.Store4(scores, Tile, a0, a1, a2, a3);
        LaneMath<TLanes>.Store4(scores + Lanes, Tile, b0, b1, b2, b3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score4x1(byte** blocks, float* queries, float* scores)
    {
        var size = _headSize;
        var key = blocks[0] + _keys;
        long next = blocks[Ahead] - blocks[0];
        float* q0 = queries, q1 = q0 + size, q2 = q1 + size, q3 = q2 + size;
        TLanes s0 = TLanes.Broadcast(0), s1 = s0, s2 = s0, s3 = s0;
        for (long e = 0; e < size; e += 2, key += PairBytes)
        {
            Prefetch(key + next);
            TKv.Load<TLanes>(key, out var first, out var second);
            s0 = TLanes.MultiplyAdd(TLanes.Broadcast(q0[e + 1]), second, TLanes.MultiplyAdd(TLanes.Broadcast(q0[e]), first, s0));
            s1 = TLanes.MultiplyAdd(TLanes.Broadcast(q1[e + 1]), second, TLanes.MultiplyAdd(TLanes.Broadcast(q1[e]), first, s1));
            s2 = TLanes.MultiplyAdd(TLanes.Broadcast(q2[e + 1]), second, TLanes.MultiplyAdd(TLanes.Broadcast(q2[e]), first, s2));
            s3 = TLanes.MultiplyAdd(TLanes.Broadcast(q3[e + 1]), second, TLanes.MultiplyAdd(TLanes.Broadcast(q3[e]), first, s3));
        }
        LaneMath<TLanes>.Store4(scores, Tile, s0, s1, s2, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score1x4(byte** blocks, float* query, float* scores)
    {
        byte* a = blocks[0], b = blocks[1], c = blocks[2], d = blocks[3];
        TLanes s0 = TLanes.Broadcast(0), s1 = s0, s2 = s0, s3 = s0;
        var offset = _keys;
        for (long e = 0; e < _headSize; e += 2, offset += PairBytes)
        {
            for (var next = blocks + Ahead; next < blocks + (2 * Ahead); next++) Prefetch(*next + offset);
            TLanes first = TLanes.Broadcast(query[e]), second = TLanes.Broadcast(query[e + 1]);
            s0 = AddPair(a + offset, first, second, s0);
            s1 = AddPair(b + offset, first, second, s1);
            s2 = AddPair(c + offset, first, second, s2);
            s3 = AddPair(d + offset, first, second, s3);
        }
        TLanes.Store(s0, scores);
        TLanes.Store(s1, scores + Lanes);
        TLanes.Store(s2, scores + (2 * Lanes));
        TLanes.Store(s3, scores + (3 * Lanes));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score1x1(byte* block, float* query, float* scores)
    {
        var key = block + _keys;
        var sum = TLanes.Broadcast(0);
        for (long e = 0; e < _headSize; e += 2, key += PairBytes)
            sum = AddPair(key, TLanes.Broadcast(query[e]), TLanes.Broadcast(query[e + 1]), sum);
        TLanes.Store(sum, scores);
    }

    /// <summary>Takes in two dimensions of a block's keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TLanes AddPair(byte* pair, TLanes firstQuery, TLanes secondQuery, TLanes sum)
    {
        TKv.Load<TLanes>(pair, out var first, out var second);
        return TLanes.MultiplyAdd(secondQuery, second, TLanes.MultiplyAdd(firstQuery, first, sum));
    }

    /// <summary>Asks for the cache lines of two dimensions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Prefetch(byte* pair)
    {
        TLanes.Prefetch(pair);
        if (TKv.Bytes == sizeof(float)) TLanes.Prefetch(pair + (PairBytes / 2));
    }
}
