using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Scores of queries with keys, q . k, both of which are integers times scales. One lane is one position. The products of a scale group are added up exactly,
/// as integers; the sums of the groups are added in order: how many queries and blocks are taken at a time changes no bit.
/// </summary>
/// <param name="layout">Layout of the head tiles.</param>
sealed unsafe class ScaledKeyScores<TLanes, TIntegers, TKv>(KvBlockLayout layout)
    where TLanes : unmanaged, IFloatLanes<TLanes>
    where TIntegers : unmanaged, IIntegerLanes<TIntegers, TLanes>
    where TKv : struct, IScaledKvFormat
{
    const int Lanes = LaneMath<TLanes>.Count;
    const int Tile = AttentionKernel.TilePositions;
    const int Ahead = AttentionKernel.BlocksPerTile;

    /// <summary>Dimensions of a step.</summary>
    const int StepSize = 4;

    readonly int _groups = layout.ScaleGroups;
    readonly int _steps = (layout.HeadSize + StepSize - 1) / StepSize;
    readonly int _room = layout.QueryRoom;
    readonly int _scales = layout.PaddedHeadSize / 2;
    readonly long _keys = layout.Keys;

    static int StepsOfGroup => KvBlockLayout.ScaleGroup / StepSize;

    /// <summary>scores[queries, 64] = queries . keys of the first <paramref name="count"/> blocks.</summary>
    /// <param name="blocks">Head tiles of a tile's blocks and, behind them, those that will be needed next.</param>
    /// <param name="queries">As <see cref="AttentionKernel.TakeQueries"/> leaves them.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Compute(byte** blocks, int count, float* queries, int queryCount, float* scores)
    {
        for (var b = 0; b < count; b++)
            for (var scales = blocks[Ahead + b]; scales < blocks[Ahead + b] + _keys; scales += KvBlockLayout.Alignment) TLanes.Prefetch(scales);

        var q = 0;
        for (; q + 4 <= queryCount; q += 4, queries += 4 * _room, scores += 4 * Tile)
        {
            var b = 0;
            for (; TLanes.Registers == 1 && b + 2 <= count; b += 2) Score4x2(blocks + b, queries, scores + (b * Lanes));
            for (; b < count; b++) Score4x1(blocks + b, queries, scores + (b * Lanes));
        }
        for (; q < queryCount; q++, queries += _room, scores += Tile)
            for (var b = 0; b < count; b++) Score1x1(blocks + b, queries, scores + (b * Lanes));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score4x2(byte** blocks, float* queries, float* scores)
    {
        byte* a = blocks[0], b = blocks[1];
        byte* keyA = a + _keys, keyB = b + _keys;
        long nextA = blocks[Ahead] - a, nextB = blocks[Ahead + 1] - b;
        float* q0 = queries, q1 = q0 + _room, q2 = q1 + _room, q3 = q2 + _room;
        TLanes a0 = TLanes.Broadcast(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
        for (int group = 0, step = 0; group < _groups; group++)
        {
            TIntegers c0 = TIntegers.Zero, c1 = c0, c2 = c0, c3 = c0, d0 = c0, d1 = c0, d2 = c0, d3 = c0;
            for (var end = Math.Min(step + StepsOfGroup, _steps); step < end; step++, keyA += TKv.StepBytes, keyB += TKv.StepBytes)
            {
                TLanes.Prefetch(keyA + nextA);
                TLanes.Prefetch(keyB + nextB);
                TKv.Load<TIntegers, TLanes>(keyA, out var firstA, out var secondA);
                TKv.Load<TIntegers, TLanes>(keyB, out var firstB, out var secondB);
                TakeStep(q0, step, out var first, out var second);
                c0 = TIntegers.MultiplyAddPairs(secondA, second, TIntegers.MultiplyAddPairs(firstA, first, c0));
                d0 = TIntegers.MultiplyAddPairs(secondB, second, TIntegers.MultiplyAddPairs(firstB, first, d0));
                TakeStep(q1, step, out first, out second);
                c1 = TIntegers.MultiplyAddPairs(secondA, second, TIntegers.MultiplyAddPairs(firstA, first, c1));
                d1 = TIntegers.MultiplyAddPairs(secondB, second, TIntegers.MultiplyAddPairs(firstB, first, d1));
                TakeStep(q2, step, out first, out second);
                c2 = TIntegers.MultiplyAddPairs(secondA, second, TIntegers.MultiplyAddPairs(firstA, first, c2));
                d2 = TIntegers.MultiplyAddPairs(secondB, second, TIntegers.MultiplyAddPairs(firstB, first, d2));
                TakeStep(q3, step, out first, out second);
                c3 = TIntegers.MultiplyAddPairs(secondA, second, TIntegers.MultiplyAddPairs(firstA, first, c3));
                d3 = TIntegers.MultiplyAddPairs(secondB, second, TIntegers.MultiplyAddPairs(firstB, first, d3));
            }
            TLanes scalesA = KeyScales(a, group), scalesB = KeyScales(b, group);
            (a0, b0) = (AddGroup(c0, q0, group, scalesA, a0), AddGroup(d0, q0, group, scalesB, b0));
            (a1, b1) = (AddGroup(c1, q1, group, scalesA, a1), AddGroup(d1, q1, group, scalesB, b1));
            (a2, b2) = (AddGroup(c2, q2, group, scalesA, a2), AddGroup(d2, q2, group, scalesB, b2));
            (a3, b3) = (AddGroup(c3, q3, group, scalesA, a3), AddGroup(d3, q3, group, scalesB, b3));
        }
        LaneMath<TLanes>.Store4(scores, Tile, a0, a1, a2, a3);
        LaneMath<TLanes>.Store4(scores + Lanes, Tile, b0, b1, b2, b3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score4x1(byte** blocks, float* queries, float* scores)
    {
        var block = blocks[0];
        var key = block + _keys;
        var next = blocks[Ahead] - block;
        float* q0 = queries, q1 = q0 + _room, q2 = q1 + _room, q3 = q2 + _room;
        TLanes s0 = TLanes.Broadcast(0), s1 = s0, s2 = s0, s3 = s0;
        for (int group = 0, step = 0; group < _groups; group++)
        {
            TIntegers c0 = TIntegers.Zero, c1 = c0, c2 = c0, c3 = c0;
            for (var end = Math.Min(step + StepsOfGroup, _steps); step < end; step++, key += TKv.StepBytes)
            {
                TLanes.Prefetch(key + next);
                TKv.Load<TIntegers, TLanes>(key, out var first, out var second);
                c0 = AddStep(first, second, q0, step, c0);
                c1 = AddStep(first, second, q1, step, c1);
                c2 = AddStep(first, second, q2, step, c2);
                c3 = AddStep(first, second, q3, step, c3);
            }
            var scales = KeyScales(block, group);
            (s0, s1) = (AddGroup(c0, q0, group, scales, s0), AddGroup(c1, q1, group, scales, s1));
            (s2, s3) = (AddGroup(c2, q2, group, scales, s2), AddGroup(c3, q3, group, scales, s3));
        }
        LaneMath<TLanes>.Store4(scores, Tile, s0, s1, s2, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Score1x1(byte** blocks, float* query, float* scores)
    {
        var block = blocks[0];
        var key = block + _keys;
        var next = blocks[Ahead] - block;
        var sum = TLanes.Broadcast(0);
        for (int group = 0, step = 0; group < _groups; group++)
        {
            var ofGroup = TIntegers.Zero;
            for (var end = Math.Min(step + StepsOfGroup, _steps); step < end; step++, key += TKv.StepBytes)
            {
                TLanes.Prefetch(key + next);
                TKv.Load<TIntegers, TLanes>(key, out var first, out var second);
                ofGroup = AddStep(first, second, query, step, ofGroup);
            }
            sum = AddGroup(ofGroup, query, group, KeyScales(block, group), sum);
        }
        TLanes.Store(sum, scores);
    }

    /// <summary>Takes in four dimensions of a block's keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TIntegers AddStep(TIntegers firstKeys, TIntegers secondKeys, float* query, int step, TIntegers sum)
    {
        TakeStep(query, step, out var first, out var second);
        return TIntegers.MultiplyAddPairs(secondKeys, second, TIntegers.MultiplyAddPairs(firstKeys, first, sum));
    }

    /// <summary>Four dimensions of a query.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void TakeStep(float* query, int step, out TIntegers first, out TIntegers second)
    {
        var numbers = (short*)query + (step * StepSize);
        first = TIntegers.SpreadPair(numbers);
        second = TIntegers.SpreadPair(numbers + 2);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TLanes KeyScales(byte* block, int group) => TLanes.LoadBFloat16((ushort*)block + (group * Lanes));

    /// <summary>Takes in the sum over a group of dimensions, with the query's scale and those of the 16 positions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    TLanes AddGroup(TIntegers ofGroup, float* query, int group, TLanes keyScales, TLanes sum) =>
        TLanes.MultiplyAdd(TIntegers.ToSingle(ofGroup) * TLanes.Broadcast(query[_scales + group]), keyScales, sum);
}
