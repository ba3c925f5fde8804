using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <inheritdoc/>
sealed unsafe class AttentionKernel<TLanes, TKv>(KvBlockLayout layout) : AttentionKernel(layout)
    where TLanes : unmanaged, IFloatLanes<TLanes>
    where TKv : struct, IKvFormat
{
    const int Lanes = LaneMath<TLanes>.Count;
    const int ScaleGroup = KvBlockLayout.ScaleGroup;

    readonly int _headSize = layout.HeadSize;
    readonly float _scale = 1 / MathF.Sqrt(layout.HeadSize);
    readonly int _valueStride = layout.ValueStride;
    readonly long _keys = layout.Keys;
    readonly long _valueScales = layout.ValueScales;
    readonly long _values = layout.Values;

    public override void Store(byte* headTile, int slot, float* key, float* value)
    {
        for (var e = 0; e < _headSize; e += ScaleGroup)
        {
            var count = Math.Min(ScaleGroup, _headSize - e);
            var scale = (e / ScaleGroup * Lanes) + slot;
            TKv.Store(key + e, count, headTile + _keys, (e * Lanes) + slot, Lanes, (ushort*)headTile + scale);
            TKv.Store(value + e, count, headTile + _values, (slot * _valueStride) + e, 1, (ushort*)(headTile + _valueScales) + scale);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Attend(in KvHead head, int rows, int group, int position, int first, int end, in AttentionScratch scratch, in AttentionState state)
    {
        new Span<float>(state.Max, rows * group).Fill(float.NegativeInfinity);
        new Span<float>(state.Sum, rows * group).Clear();
        new Span<float>(state.Output, rows * group * _valueStride).Clear();

        var blocks = stackalloc byte*[BlocksPerTile];
        for (var start = first; start < end; start += TilePositions)
        {
            var count = Math.Min(TilePositions, end - start);
            for (var b = 0; b * KvBlockLayout.Positions < count; b++)
                blocks[b] = head.Tile((start / KvBlockLayout.Positions) + b);

            // Rows that see only a part of the tile go one by one, all others together.
            var row = Math.Max(0, start - position);
            var whole = Math.Clamp(start + count - 1 - position, row, rows);
            for (; row < whole; row++)
                AttendTile(blocks, row * group, group, position + row - start + 1, scratch, state);
            if (row < rows)
                AttendTile(blocks, row * group, (rows - row) * group, count, scratch, state);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Add(in AttentionState part, in AttentionState total, int first, int end)
    {
        for (var q = first; q < end; q++)
        {
            var max = MathF.Max(total.Max[q], part.Max[q]);
            var totalScale = LaneMath<TLanes>.Exp(TLanes.Broadcast(total.Max[q] - max));
            var partScale = LaneMath<TLanes>.Exp(TLanes.Broadcast(part.Max[q] - max));
            for (var e = 0; e < _valueStride; e += Lanes)
            {
                var at = total.Output + (q * _valueStride) + e;
                var added = TLanes.Load(part.Output + (q * _valueStride) + e) * partScale;
                TLanes.Store(TLanes.MultiplyAdd(TLanes.Load(at), totalScale, added), at);
            }
            total.Sum[q] = TLanes.Max(TLanes.MultiplyAdd(TLanes.Broadcast(total.Sum[q]), totalScale, TLanes.Broadcast(part.Sum[q]) * partScale));
            total.Max[q] = max;
        }
    }

    public override void Finish(in AttentionState state, int first, int queries, float* output)
    {
        for (var q = 0; q < queries; q++)
            for (var e = 0; e < _headSize; e++)
                output[(q * _headSize) + e] = state.Output[((first + q) * _valueStride) + e] / state.Sum[first + q];
    }

    /// <summary>Queries <paramref name="query"/> .. of the scratch attend to the first <paramref name="count"/> positions of a tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void AttendTile(byte** blocks, int query, int queries, int count, in AttentionScratch scratch, in AttentionState state)
    {
        var weights = scratch.Weights;
        var scores = scratch.Queries + (query * _headSize);
        for (var b = 0; b * Lanes < count; b++)
        {
            var q = 0;
            for (; q + 4 <= queries; q += 4) Scores4(blocks[b], scores + (q * _headSize), weights + (q * TilePositions) + (b * Lanes));
            for (; q < queries; q++) Scores1(blocks[b], scores + (q * _headSize), weights + (q * TilePositions) + (b * Lanes));
        }

        Weigh(query, queries, count, scratch, state);

        var output = state.Output + (query * _valueStride);
        for (var e = 0; e < _valueStride; e += Lanes)
        {
            if (TKv.Scaled && e % ScaleGroup == 0) ScaleWeights(blocks, e / ScaleGroup, queries, count, scratch);
            var used = TKv.Scaled ? scratch.ScaledWeights : weights;
            var q = 0;
            for (; q + 4 <= queries; q += 4)
                AddValues4(blocks, e, count, used + (q * TilePositions), scratch.Rescale + q, output + (q * _valueStride) + e);
            for (; q < queries; q++)
                AddValues1(blocks, e, count, used + (q * TilePositions), scratch.Rescale + q, output + (q * _valueStride) + e);
        }
    }

    /// <summary>The online softmax: scores of a tile become weights, and max and sum take them in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Weigh(int query, int queries, int count, in AttentionScratch scratch, in AttentionState state)
    {
        var scale = TLanes.Broadcast(_scale);
        var end = (count + Lanes - 1) / Lanes * Lanes;
        for (var q = 0; q < queries; q++)
        {
            var weights = scratch.Weights + (q * TilePositions);
            for (var i = count; i < end; i++) weights[i] = float.NegativeInfinity;

            var greatest = TLanes.Broadcast(state.Max[query + q]);
            for (var i = 0; i < end; i += Lanes)
            {
                var scores = TLanes.Load(weights + i) * scale;
                TLanes.Store(scores, weights + i);
                greatest = TLanes.Max(greatest, scores);
            }
            var max = TLanes.Max(greatest);
            var rescale = TLanes.Max(LaneMath<TLanes>.Exp(TLanes.Broadcast(state.Max[query + q] - max)));

            var sum = TLanes.Broadcast(0);
            for (var i = 0; i < end; i += Lanes)
            {
                var weight = LaneMath<TLanes>.Exp(TLanes.Load(weights + i) - TLanes.Broadcast(max));
                TLanes.Store(weight, weights + i);
                sum += weight;
            }
            state.Sum[query + q] = MathF.FusedMultiplyAdd(state.Sum[query + q], rescale, TLanes.Sum(sum));
            state.Max[query + q] = max;
            scratch.Rescale[q] = rescale;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void ScaleWeights(byte** blocks, int group, int queries, int count, in AttentionScratch scratch)
    {
        for (var b = 0; b * Lanes < count; b++)
        {
            var scales = TLanes.LoadBFloat16((ushort*)(blocks[b] + _valueScales) + (group * Lanes));
            for (var q = 0; q < queries; q++)
            {
                var at = (q * TilePositions) + (b * Lanes);
                TLanes.Store(TLanes.Load(scratch.Weights + at) * scales, scratch.ScaledWeights + at);
            }
        }
    }

    /// <summary>Scores of four queries [4, E] with the 16 positions of a block: one lane is one position, summed over E in order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Scores4(byte* block, float* queries, float* scores)
    {
        float* q0 = queries, q1 = q0 + _headSize, q2 = q1 + _headSize, q3 = q2 + _headSize;
        TLanes s0 = TLanes.Broadcast(0), s1 = s0, s2 = s0, s3 = s0;
        var groupSize = TKv.Scaled ? ScaleGroup : _headSize;
        for (var start = 0; start < _headSize; start += groupSize)
        {
            TLanes g0 = TLanes.Broadcast(0), g1 = g0, g2 = g0, g3 = g0;
            var end = Math.Min(start + groupSize, _headSize);
            for (var e = start; e < end; e++)
            {
                var key = TKv.Load<TLanes>(block + _keys, e * Lanes);
                g0 = TLanes.MultiplyAdd(TLanes.Broadcast(q0[e]), key, g0);
                g1 = TLanes.MultiplyAdd(TLanes.Broadcast(q1[e]), key, g1);
                g2 = TLanes.MultiplyAdd(TLanes.Broadcast(q2[e]), key, g2);
                g3 = TLanes.MultiplyAdd(TLanes.Broadcast(q3[e]), key, g3);
            }

            s0 = AddGroup(g0, s0, block, start);
            s1 = AddGroup(g1, s1, block, start);
            s2 = AddGroup(g2, s2, block, start);
            s3 = AddGroup(g3, s3, block, start);
        }
        TLanes.Store(s0, scores);
        TLanes.Store(s1, scores + TilePositions);
        TLanes.Store(s2, scores + (2 * TilePositions));
        TLanes.Store(s3, scores + (3 * TilePositions));
    }

    /// <summary><see cref="Scores4"/> for one query.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Scores1(byte* block, float* query, float* scores)
    {
        var sum = TLanes.Broadcast(0);
        var groupSize = TKv.Scaled ? ScaleGroup : _headSize;
        for (var start = 0; start < _headSize; start += groupSize)
        {
            var group = TLanes.Broadcast(0);
            var end = Math.Min(start + groupSize, _headSize);
            for (var e = start; e < end; e++)
                group = TLanes.MultiplyAdd(TLanes.Broadcast(query[e]), TKv.Load<TLanes>(block + _keys, e * Lanes), group);
            sum = AddGroup(group, sum, block, start);
        }
        TLanes.Store(sum, scores);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TLanes AddGroup(TLanes group, TLanes sum, byte* block, int start) =>
        TKv.Scaled ? TLanes.MultiplyAdd(group, TLanes.LoadBFloat16((ushort*)block + (start / ScaleGroup * Lanes)), sum) : group;

    /// <summary>Adds the weighted values of a tile, dimensions e .. e + 16, to the outputs of four queries: positions in order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void AddValues4(byte** blocks, int e, int count, float* weights, float* rescale, float* outputs)
    {
        float* o0 = outputs, o1 = o0 + _valueStride, o2 = o1 + _valueStride, o3 = o2 + _valueStride;
        var s0 = TLanes.Load(o0) * TLanes.Broadcast(rescale[0]);
        var s1 = TLanes.Load(o1) * TLanes.Broadcast(rescale[1]);
        var s2 = TLanes.Load(o2) * TLanes.Broadcast(rescale[2]);
        var s3 = TLanes.Load(o3) * TLanes.Broadcast(rescale[3]);
        for (var first = 0; first < count; first += KvBlockLayout.Positions)
        {
            var values = blocks[first / KvBlockLayout.Positions] + _values;
            var slots = Math.Min(KvBlockLayout.Positions, count - first);
            var w = weights + first;
            for (var slot = 0; slot < slots; slot++, w++)
            {
                var value = TKv.Load<TLanes>(values, (slot * _valueStride) + e);
                s0 = TLanes.MultiplyAdd(TLanes.Broadcast(w[0]), value, s0);
                s1 = TLanes.MultiplyAdd(TLanes.Broadcast(w[TilePositions]), value, s1);
                s2 = TLanes.MultiplyAdd(TLanes.Broadcast(w[2 * TilePositions]), value, s2);
                s3 = TLanes.MultiplyAdd(TLanes.Broadcast(w[3 * TilePositions]), value, s3);
            }
        }
        TLanes.Store(s0, o0);
        TLanes.Store(s1, o1);
        TLanes.Store(s2, o2);
        TLanes.Store(s3, o3);
    }

    /// <summary><see cref="AddValues4"/> for one query.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void AddValues1(byte** blocks, int e, int count, float* weights, float* rescale, float* output)
    {
        var sum = TLanes.Load(output) * TLanes.Broadcast(rescale[0]);
        for (var first = 0; first < count; first += KvBlockLayout.Positions)
        {
            var values = blocks[first / KvBlockLayout.Positions] + _values;
            var slots = Math.Min(KvBlockLayout.Positions, count - first);
            for (var slot = 0; slot < slots; slot++)
                sum = TLanes.MultiplyAdd(TLanes.Broadcast(weights[first + slot]), TKv.Load<TLanes>(values, (slot * _valueStride) + e), sum);
        }
        TLanes.Store(sum, output);
    }
}
