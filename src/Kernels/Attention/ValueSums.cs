using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Sums of values / <see cref="IKvFormat.Unit"/>, each with its weight. One lane is one dimension of the head, and positions are added in order: how many
/// queries and dimensions are taken at a time changes no bit.
/// </summary>
/// <param name="layout">Layout of the head tiles.</param>
sealed unsafe class ValueSums<TLanes, TKv>(KvBlockLayout layout)
    where TLanes : unmanaged, IFloatLanes<TLanes>
    where TKv : struct, IKvFormat
{
    const int Lanes = LaneMath<TLanes>.Count;
    const int Tile = AttentionKernel.TilePositions;
    const int Blocks = AttentionKernel.BlocksPerTile;

    readonly int _size = layout.PaddedHeadSize;
    readonly long _values = layout.Values;

    /// <summary>Bytes of 16 dimensions of two positions.</summary>
    static int PairBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2 * Lanes * TKv.Bytes;
    }

    /// <summary>Bytes of 16 dimensions of a block's positions.</summary>
    static int PanelBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => KvBlock.Positions * Lanes * TKv.Bytes;
    }

    /// <summary>outputs[queries, E'] += weights[queries, 64] . values of the first <paramref name="count"/> positions of a tile.</summary>
    /// <param name="blocks">Head tiles of a tile's blocks and, behind them, those that will be needed next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(byte** blocks, int count, float* weights, int queries, float* outputs)
    {
        var step = Lanes;
        for (var e = 0; e < _size; e += step)
        {
            var values = _values + (e / Lanes * PanelBytes);
            var twoPanels = e + Lanes < _size;
            step = twoPanels ? 2 * Lanes : Lanes;

            var q = 0;
            for (; twoPanels && TLanes.Registers == 1 && q + 8 <= queries; q += 8)
                Add8x2(blocks, count, values, weights + (q * Tile), outputs + (q * _size) + e);
            for (; q + 4 <= queries; q += 4)
            {
                float* w = weights + (q * Tile), o = outputs + (q * _size) + e;
                if (twoPanels && TLanes.Registers == 1)
                {
                    Add4x2(blocks, count, values, w, o);
                    continue;
                }
                Add4x1(blocks, count, values, w, o);
                if (twoPanels) Add4x1(blocks, count, values + PanelBytes, w, o + Lanes);
            }
            for (; q < queries; q++)
            {
                float* w = weights + (q * Tile), o = outputs + (q * _size) + e;
                if (twoPanels) Add1x2(blocks, count, values, w, o);
                else Add1x1(blocks, count, values, w, o);
            }
            if (count % 2 != 0) AddLast(blocks[count / KvBlock.Positions] + values, twoPanels, count - 1, weights, queries, outputs + e);
        }
    }

    /// <summary>All positions but the last one of an odd number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Add8x2(byte** blocks, int count, long offset, float* weights, float* outputs)
    {
        float* o0 = outputs, o1 = o0 + _size, o2 = o1 + _size, o3 = o2 + _size, o4 = o3 + _size, o5 = o4 + _size, o6 = o5 + _size, o7 = o6 + _size;
        TLanes a0 = TLanes.Load(o0), a1 = TLanes.Load(o1), a2 = TLanes.Load(o2), a3 = TLanes.Load(o3);
        TLanes b0 = TLanes.Load(o0 + Lanes), b1 = TLanes.Load(o1 + Lanes), b2 = TLanes.Load(o2 + Lanes), b3 = TLanes.Load(o3 + Lanes);
        TLanes a4 = TLanes.Load(o4), a5 = TLanes.Load(o5), a6 = TLanes.Load(o6), a7 = TLanes.Load(o7);
        TLanes b4 = TLanes.Load(o4 + Lanes), b5 = TLanes.Load(o5 + Lanes), b6 = TLanes.Load(o6 + Lanes), b7 = TLanes.Load(o7 + Lanes);
        for (var first = 0; first < count; first += KvBlock.Positions, blocks++)
        {
            var values = blocks[0] + offset;
            var next = blocks[Blocks] - blocks[0];
            for (var end = values + (Math.Min(KvBlock.Positions, count - first) / 2 * PairBytes); values < end; values += PairBytes, weights += 2)
            {
                Prefetch(values + next);
                Prefetch(values + next + PanelBytes);
                TKv.Load<TLanes>(values, out var firstA, out var secondA);
                TKv.Load<TLanes>(values + PanelBytes, out var firstB, out var secondB);
                TLanes one = TLanes.Broadcast(weights[0]), two = TLanes.Broadcast(weights[1]);
                a0 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a0));
                b0 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b0));
                (one, two) = (TLanes.Broadcast(weights[Tile]), TLanes.Broadcast(weights[Tile + 1]));
                a1 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a1));
                b1 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b1));
                (one, two) = (TLanes.Broadcast(weights[2 * Tile]), TLanes.Broadcast(weights[(2 * Tile) + 1]));
                a2 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a2));
                b2 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b2));
                (one, two) = (TLanes.Broadcast(weights[3 * Tile]), TLanes.Broadcast(weights[(3 * Tile) + 1]));
                a3 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a3));
                b3 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b3));
                (one, two) = (TLanes.Broadcast(weights[4 * Tile]), TLanes.Broadcast(weights[(4 * Tile) + 1]));
                a4 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a4));
                b4 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b4));
                (one, two) = (TLanes.Broadcast(weights[5 * Tile]), TLanes.Broadcast(weights[(5 * Tile) + 1]));
                a5 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a5));
                b5 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b5));
                (one, two) = (TLanes.Broadcast(weights[6 * Tile]), TLanes.Broadcast(weights[(6 * Tile) + 1]));
                a6 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a6));
                b6 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b6));
                (one, two) = (TLanes.Broadcast(weights[7 * Tile]), TLanes.Broadcast(weights[(7 * Tile) + 1]));
                a7 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a7));
                b7 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b7));
            }
        }
        LaneMath<TLanes>.Store4(o0, _size, a0, a1, a2, a3);
        LaneMath<TLanes>.Store4(o0 + Lanes, _size, b0, b1, b2, b3);
        LaneMath<TLanes>.Store4(o4, _size, a4, a5, a6, a7);
        LaneMath<TLanes>.Store4(o4 + Lanes, _size, b4, b5, b6, b7);
    }

    /// <inheritdoc cref="Add8x2"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Add4x2(byte** blocks, int count, long offset, float* weights, float* outputs)
    {
        float* o0 = outputs, o1 = o0 + _size, o2 = o1 + _size, o3 = o2 + _size;
        TLanes a0 = TLanes.Load(o0), a1 = TLanes.Load(o1), a2 = TLanes.Load(o2), a3 = TLanes.Load(o3);
        TLanes b0 = TLanes.Load(o0 + Lanes), b1 = TLanes.Load(o1 + Lanes), b2 = TLanes.Load(o2 + Lanes), b3 = TLanes.Load(o3 + Lanes);
        for (var first = 0; first < count; first += KvBlock.Positions, blocks++)
        {
            var values = blocks[0] + offset;
            var next = blocks[Blocks] - blocks[0];
            for (var end = values + (Math.Min(KvBlock.Positions, count - first) / 2 * PairBytes); values < end; values += PairBytes, weights += 2)
            {
                Prefetch(values + next);
                Prefetch(values + next + PanelBytes);
                TKv.Load<TLanes>(values, out var firstA, out var secondA);
                TKv.Load<TLanes>(values + PanelBytes, out var firstB, out var secondB);
                TLanes one = TLanes.Broadcast(weights[0]), two = TLanes.Broadcast(weights[1]);
                a0 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a0));
                b0 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b0));
                (one, two) = (TLanes.Broadcast(weights[Tile]), TLanes.Broadcast(weights[Tile + 1]));
                a1 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a1));
                b1 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b1));
                (one, two) = (TLanes.Broadcast(weights[2 * Tile]), TLanes.Broadcast(weights[(2 * Tile) + 1]));
                a2 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a2));
                b2 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b2));
                (one, two) = (TLanes.Broadcast(weights[3 * Tile]), TLanes.Broadcast(weights[(3 * Tile) + 1]));
                a3 = TLanes.MultiplyAdd(two, secondA, TLanes.MultiplyAdd(one, firstA, a3));
                b3 = TLanes.MultiplyAdd(two, secondB, TLanes.MultiplyAdd(one, firstB, b3));
            }
        }
        LaneMath<TLanes>.Store4(o0, _size, a0, a1, a2, a3);
        LaneMath<TLanes>.Store4(o0 + Lanes, _size, b0, b1, b2, b3);
    }

    /// <inheritdoc cref="Add8x2"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Add4x1(byte** blocks, int count, long offset, float* weights, float* outputs)
    {
        float* o0 = outputs, o1 = o0 + _size, o2 = o1 + _size, o3 = o2 + _size;
        TLanes s0 = TLanes.Load(o0), s1 = TLanes.Load(o1), s2 = TLanes.Load(o2), s3 = TLanes.Load(o3);
        for (var first = 0; first < count; first += KvBlock.Positions, blocks++)
        {
            var values = blocks[0] + offset;
            var next = blocks[Blocks] - blocks[0];
            for (var end = values + (Math.Min(KvBlock.Positions, count - first) / 2 * PairBytes); values < end; values += PairBytes, weights += 2)
            {
                Prefetch(values + next);
                TKv.Load<TLanes>(values, out var one, out var two);
                s0 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[1]), two, TLanes.MultiplyAdd(TLanes.Broadcast(weights[0]), one, s0));
                s1 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[Tile + 1]), two, TLanes.MultiplyAdd(TLanes.Broadcast(weights[Tile]), one, s1));
                s2 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[(2 * Tile) + 1]), two, TLanes.MultiplyAdd(TLanes.Broadcast(weights[2 * Tile]), one, s2));
                s3 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[(3 * Tile) + 1]), two, TLanes.MultiplyAdd(TLanes.Broadcast(weights[3 * Tile]), one, s3));
            }
        }
        LaneMath<TLanes>.Store4(outputs, _size, s0, s1, s2, s3);
    }

    /// <inheritdoc cref="Add8x2"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Add1x2(byte** blocks, int count, long offset, float* weights, float* output)
    {
        TLanes a = TLanes.Load(output), b = TLanes.Load(output + Lanes);
        for (var first = 0; first < count; first += KvBlock.Positions, blocks++)
        {
            var values = blocks[0] + offset;
            var next = blocks[Blocks] - blocks[0];
            for (var end = values + (Math.Min(KvBlock.Positions, count - first) / 2 * PairBytes); values < end; values += PairBytes, weights += 2)
            {
                Prefetch(values + next);
                Prefetch(values + next + PanelBytes);
                a = AddPair(values, weights, a);
                b = AddPair(values + PanelBytes, weights, b);
            }
        }
        TLanes.Store(a, output);
        TLanes.Store(b, output + Lanes);
    }

    /// <inheritdoc cref="Add8x2"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Add1x1(byte** blocks, int count, long offset, float* weights, float* output)
    {
        var sum = TLanes.Load(output);
        for (var first = 0; first < count; first += KvBlock.Positions, blocks++)
        {
            var values = blocks[0] + offset;
            for (var end = values + (Math.Min(KvBlock.Positions, count - first) / 2 * PairBytes); values < end; values += PairBytes, weights += 2)
                sum = AddPair(values, weights, sum);
        }
        TLanes.Store(sum, output);
    }

    /// <summary>The last one of an odd number of positions, whose neighbour must not be looked at.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void AddLast(byte* values, bool twoPanels, int position, float* weights, int queries, float* outputs)
    {
        values += position % KvBlock.Positions / 2 * PairBytes;
        for (var q = 0; q < queries; q++, outputs += _size)
        {
            var weight = TLanes.Broadcast(weights[(q * Tile) + position]);
            AddFirst(values, weight, outputs);
            if (twoPanels) AddFirst(values + PanelBytes, weight, outputs + Lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void AddFirst(byte* pair, TLanes weight, float* output)
    {
        TKv.Load<TLanes>(pair, out var value, out _);
        TLanes.Store(TLanes.MultiplyAdd(weight, value, TLanes.Load(output)), output);
    }

    /// <summary>Takes in two positions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TLanes AddPair(byte* pair, float* weights, TLanes sum)
    {
        TKv.Load<TLanes>(pair, out var first, out var second);
        return TLanes.MultiplyAdd(TLanes.Broadcast(weights[1]), second, TLanes.MultiplyAdd(TLanes.Broadcast(weights[0]), first, sum));
    }

    /// <summary>Asks for the cache lines of two positions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Prefetch(byte* pair)
    {
        TLanes.Prefetch(pair);
        if (TKv.Bytes == sizeof(float)) TLanes.Prefetch(pair + (PairBytes / 2));
    }
}
