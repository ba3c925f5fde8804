using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Sums of values, each with its weight. One lane is one dimension of the head, and positions are added in order: how many queries and
/// dimensions are taken at a time changes no bit.
/// </summary>
/// <param name="layout">Of the head tiles.</param>
sealed unsafe class ValueSums<TLanes, TKv>(KvBlockLayout layout)
    where TLanes : unmanaged, IFloatLanes<TLanes>
    where TKv : struct, IKvFormat
{
    const int Lanes = LaneMath<TLanes>.Count;
    const int Tile = AttentionKernel.TilePositions;

    /// <summary>From 16 dimensions of a block's positions to the next 16.</summary>
    const int Panel = Lanes * KvBlockLayout.Positions;

    readonly int _size = layout.PaddedHeadSize;
    readonly long _scales = layout.ValueScales;
    readonly long _values = layout.Values;

    /// <summary>outputs[queries, E'] += weights[queries, 64] . values of the first <paramref name="slots"/> positions of a block.</summary>
    /// <param name="next">The head tile that will be needed next.</param>
    /// <param name="scaledWeights">[queries, 64] of room.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(byte* block, byte* next, int slots, float* weights, int queries, float* scaledWeights, float* outputs)
    {
        var step = Lanes;
        for (var e = 0; e < _size; e += step)
        {
            if (TKv.Scaled && e % KvBlockLayout.ScaleGroup == 0)
                ScaleWeights((ushort*)(block + _scales) + (e / KvBlockLayout.ScaleGroup * Lanes), queries, weights, scaledWeights);
            var used = TKv.Scaled ? scaledWeights : weights;
            byte* values = block + _values + (e * Lanes * TKv.Bytes), ahead = next + _values + (e * Lanes * TKv.Bytes);
            var twoPanels = e + Lanes < _size;
            step = twoPanels ? 2 * Lanes : Lanes;

            var q = 0;
            for (; q + 4 <= queries; q += 4)
            {
                float* w = used + (q * Tile), o = outputs + (q * _size) + e;
                if (twoPanels && TLanes.Registers == 1)
                {
                    Add4x2(values, ahead, slots, w, o);
                    continue;
                }
                Add4x1(values, ahead, slots, w, o);
                if (twoPanels) Add4x1(values + (Panel * TKv.Bytes), ahead + (Panel * TKv.Bytes), slots, w, o + Lanes);
            }
            for (; q < queries; q++)
            {
                float* w = used + (q * Tile), o = outputs + (q * _size) + e;
                if (twoPanels) Add1x2(values, ahead, slots, w, o);
                else Add1x1(values, slots, w, o);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Add4x2(byte* values, byte* ahead, int slots, float* weights, float* outputs)
    {
        float* o0 = outputs, o1 = o0 + _size, o2 = o1 + _size, o3 = o2 + _size;
        TLanes a0 = TLanes.Load(o0), a1 = TLanes.Load(o1), a2 = TLanes.Load(o2), a3 = TLanes.Load(o3);
        TLanes b0 = TLanes.Load(o0 + Lanes), b1 = TLanes.Load(o1 + Lanes), b2 = TLanes.Load(o2 + Lanes), b3 = TLanes.Load(o3 + Lanes);
        for (var i = 0; i < slots * Lanes; i += Lanes, weights++)
        {
            Prefetch(ahead, i);
            Prefetch(ahead, i + Panel);
            TLanes valueA = TKv.Load<TLanes>(values, i), valueB = TKv.Load<TLanes>(values, i + Panel);
            var weight = TLanes.Broadcast(weights[0]);
            a0 = TLanes.MultiplyAdd(weight, valueA, a0);
            b0 = TLanes.MultiplyAdd(weight, valueB, b0);
            weight = TLanes.Broadcast(weights[Tile]);
            a1 = TLanes.MultiplyAdd(weight, valueA, a1);
            b1 = TLanes.MultiplyAdd(weight, valueB, b1);
            weight = TLanes.Broadcast(weights[2 * Tile]);
            a2 = TLanes.MultiplyAdd(weight, valueA, a2);
            b2 = TLanes.MultiplyAdd(weight, valueB, b2);
            weight = TLanes.Broadcast(weights[3 * Tile]);
            a3 = TLanes.MultiplyAdd(weight, valueA, a3);
            b3 = TLanes.MultiplyAdd(weight, valueB, b3);
        }
        Store4(outputs, a0, a1, a2, a3);
        Store4(outputs + Lanes, b0, b1, b2, b3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Add4x1(byte* values, byte* ahead, int slots, float* weights, float* outputs)
    {
        float* o0 = outputs, o1 = o0 + _size, o2 = o1 + _size, o3 = o2 + _size;
        TLanes s0 = TLanes.Load(o0), s1 = TLanes.Load(o1), s2 = TLanes.Load(o2), s3 = TLanes.Load(o3);
        for (var i = 0; i < slots * Lanes; i += Lanes, weights++)
        {
            Prefetch(ahead, i);
            var value = TKv.Load<TLanes>(values, i);
            s0 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[0]), value, s0);
            s1 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[Tile]), value, s1);
            s2 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[2 * Tile]), value, s2);
            s3 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[3 * Tile]), value, s3);
        }
        Store4(outputs, s0, s1, s2, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Add1x2(byte* values, byte* ahead, int slots, float* weights, float* output)
    {
        TLanes a = TLanes.Load(output), b = TLanes.Load(output + Lanes);
        for (var i = 0; i < slots * Lanes; i += Lanes, weights++)
        {
            Prefetch(ahead, i);
            Prefetch(ahead, i + Panel);
            var weight = TLanes.Broadcast(weights[0]);
            a = TLanes.MultiplyAdd(weight, TKv.Load<TLanes>(values, i), a);
            b = TLanes.MultiplyAdd(weight, TKv.Load<TLanes>(values, i + Panel), b);
        }
        TLanes.Store(a, output);
        TLanes.Store(b, output + Lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Add1x1(byte* values, int slots, float* weights, float* output)
    {
        var sum = TLanes.Load(output);
        for (var i = 0; i < slots * Lanes; i += Lanes, weights++)
            sum = TLanes.MultiplyAdd(TLanes.Broadcast(weights[0]), TKv.Load<TLanes>(values, i), sum);
        TLanes.Store(sum, output);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void ScaleWeights(ushort* scales, int queries, float* weights, float* scaled)
    {
        var factors = TLanes.LoadBFloat16(scales);
        for (var q = 0; q < queries; q++) TLanes.Store(TLanes.Load(weights + (q * Tile)) * factors, scaled + (q * Tile));
    }

    /// <summary>Asks for the line that number <paramref name="i"/> is in, where it begins with it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Prefetch(byte* values, int i)
    {
        if ((i / Lanes & ((sizeof(float) / TKv.Bytes) - 1)) == 0) TLanes.Prefetch(values + (i * TKv.Bytes));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void Store4(float* outputs, TLanes s0, TLanes s1, TLanes s2, TLanes s3)
    {
        TLanes.Store(s0, outputs);
        TLanes.Store(s1, outputs + _size);
        TLanes.Store(s2, outputs + (2 * _size));
        TLanes.Store(s3, outputs + (3 * _size));
    }
}
