using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Scores of queries with keys, q . k / <see cref="IKvFormat.Unit"/>. One lane is one position, and its products are added up over the head's dimensions in
/// order (of scaled numbers, group by group): how many queries and blocks are taken at a time changes no bit. Enough of them are taken that the
/// multipliers need not wait for one another's results.
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
    readonly int _groupSize = TKv.Scaled ? KvBlockLayout.ScaleGroup : layout.HeadSize;
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
    void Score4x2(byte** blocks, float* queries, float* scores)
    {
        var (size, groupSize, keys) = (_headSize, _groupSize, _keys);
        byte* a = blocks[0], b = blocks[1];
        byte* keyA = a + keys, keyB = b + keys;
        long nextA = blocks[Ahead] - a, nextB = blocks[Ahead + 1] - b;
        float* q0 = queries, q1 = q0 + size, q2 = q1 + size, q3 = q2 + size;
        TLanes a0 = TLanes.Broadcast(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
        for (var start = 0; start < size; start += groupSize)
        {
            TLanes c0 = TLanes.Broadcast(0), c1 = c0, c2 = c0, c3 = c0, d0 = c0, d1 = c0, d2 = c0, d3 = c0;
            var end = Math.Min(start + groupSize, size);
            for (long e = start; e < end; e += 2, keyA += PairBytes, keyB += PairBytes)
            {
                Prefetch(keyA + nextA);
                Prefetch(keyB + nextB);
                TKv.Load<TLanes>(keyA, out var firstA, out var secondA);
                TKv.Load<TLanes>(keyB, out var firstB, out var secondB);
                TLanes query = TLanes.Broadcast(q0[e]), second = TLanes.Broadcast(q0[e + 1]);
                c0 = TLanes.MultiplyAdd(second, secondA, TLanes.MultiplyAdd(query, firstA, c0));
                d0 = TLanes.MultiplyAdd(second, secondB, TLanes.MultiplyAdd(query, firstB, d0));
                (query, second) = (TLanes.Broadcast(q1[e]), TLanes.Broadcast(q1[e + 1]));
                c1 = TLanes.MultiplyAdd(second, secondA, TLanes.MultiplyAdd(query, firstA, c1));
                d1 = TLanes.MultiplyAdd(second, secondB, TLanes.MultiplyAdd(query, firstB, d1));
                (query, second) = (TLanes.Broadcast(q2[e]), TLanes.Broadcast(q2[e + 1]));
                c2 = TLanes.MultiplyAdd(second, secondA, TLanes.MultiplyAdd(query, firstA, c2));
                d2 = TLanes.MultiplyAdd(second, secondB, TLanes.MultiplyAdd(query, firstB, d2));
                (query, second) = (TLanes.Broadcast(q3[e]), TLanes.Broadcast(q3[e + 1]));
                c3 = TLanes.MultiplyAdd(second, secondA, TLanes.MultiplyAdd(query, firstA, c3));
                d3 = TLanes.MultiplyAdd(second, secondB, TLanes.MultiplyAdd(query, firstB, d3));
            }
            (a0, a1, a2, a3) = (AddGroup(c0, a0, a, start), AddGroup(c1, a1, a, start), AddGroup(c2, a2, a, start), AddGroup(c3, a3, a, start));
            (b0, b1, b2, b3) = (AddGroup(d0, b0, b, start), AddGroup(d1, b1, b, start), AddGroup(d2, b2, b, start), AddGroup(d3, b3, b, start));
        }
        Store4(scores, a0, a1, a2, a3);
        Store4(scores + Lanes, b0, b1, b2, b3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score4x1(byte** blocks, float* queries, float* scores)
    {
        var (size, groupSize) = (_headSize, _groupSize);
        var block = blocks[0];
        var key = block + _keys;
        long next = blocks[Ahead] - block;
        float* q0 = queries, q1 = q0 + size, q2 = q1 + size, q3 = q2 + size;
        TLanes s0 = TLanes.Broadcast(0), s1 = s0, s2 = s0, s3 = s0;
        for (var start = 0; start < size; start += groupSize)
        {
            TLanes g0 = TLanes.Broadcast(0), g1 = g0, g2 = g0, g3 = g0;
            var end = Math.Min(start + groupSize, size);
            for (long e = start; e < end; e += 2, key += PairBytes)
            {
                Prefetch(key + next);
                TKv.Load<TLanes>(key, out var first, out var second);
                g0 = TLanes.MultiplyAdd(TLanes.Broadcast(q0[e + 1]), second, TLanes.MultiplyAdd(TLanes.Broadcast(q0[e]), first, g0));
                g1 = TLanes.MultiplyAdd(TLanes.Broadcast(q1[e + 1]), second, TLanes.MultiplyAdd(TLanes.Broadcast(q1[e]), first, g1));
                g2 = TLanes.MultiplyAdd(TLanes.Broadcast(q2[e + 1]), second, TLanes.MultiplyAdd(TLanes.Broadcast(q2[e]), first, g2));
                g3 = TLanes.MultiplyAdd(TLanes.Broadcast(q3[e + 1]), second, TLanes.MultiplyAdd(TLanes.Broadcast(q3[e]), first, g3));
            }
            (s0, s1, s2, s3) = (AddGroup(g0, s0, block, start), AddGroup(g1, s1, block, start), AddGroup(g2, s2, block, start), AddGroup(g3, s3, block, start));
        }
        Store4(scores, s0, s1, s2, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score1x4(byte** blocks, float* query, float* scores)
    {
        var (size, groupSize, keys) = (_headSize, _groupSize, _keys);
        byte* a = blocks[0], b = blocks[1], c = blocks[2], d = blocks[3];
        TLanes s0 = TLanes.Broadcast(0), s1 = s0, s2 = s0, s3 = s0;
        for (var start = 0; start < size; start += groupSize)
        {
            TLanes g0 = TLanes.Broadcast(0), g1 = g0, g2 = g0, g3 = g0;
            var end = Math.Min(start + groupSize, size);
            var offset = keys + ((long)start / 2 * PairBytes);
            for (long e = start; e < end; e += 2, offset += PairBytes)
            {
                for (var next = blocks + Ahead; next < blocks + (2 * Ahead); next++) Prefetch(*next + offset);
                TLanes first = TLanes.Broadcast(query[e]), second = TLanes.Broadcast(query[e + 1]);
                g0 = AddPair(a + offset, first, second, g0);
                g1 = AddPair(b + offset, first, second, g1);
                g2 = AddPair(c + offset, first, second, g2);
                g3 = AddPair(d + offset, first, second, g3);
            }
            (s0, s1, s2, s3) = (AddGroup(g0, s0, a, start), AddGroup(g1, s1, b, start), AddGroup(g2, s2, c, start), AddGroup(g3, s3, d, start));
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
        for (var start = 0; start < _headSize; start += _groupSize)
        {
            var group = TLanes.Broadcast(0);
            var end = Math.Min(start + _groupSize, _headSize);
            for (long e = start; e < end; e += 2, key += PairBytes)
                group = AddPair(key, TLanes.Broadcast(query[e]), TLanes.Broadcast(query[e + 1]), group);
            sum = AddGroup(group, sum, block, start);
        }
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

    /// <summary>Takes in the sum over a group of dimensions, with the scales of its 16 positions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TLanes AddGroup(TLanes group, TLanes sum, byte* block, int start) =>
        TKv.Scaled ? TLanes.MultiplyAdd(group, TLanes.LoadBFloat16((ushort*)block + (start / KvBlockLayout.ScaleGroup * Lanes)), sum) : group;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store4(float* scores, TLanes s0, TLanes s1, TLanes s2, TLanes s3)
    {
        TLanes.Store(s0, scores);
        TLanes.Store(s1, scores + Tile);
        TLanes.Store(s2, scores + (2 * Tile));
        TLanes.Store(s3, scores + (3 * Tile));
    }
}
