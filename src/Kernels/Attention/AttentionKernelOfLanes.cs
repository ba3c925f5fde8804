using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <inheritdoc/>
sealed unsafe class AttentionKernel<TLanes, TKv>(KvBlockLayout layout) : AttentionKernel(layout)
    where TLanes : unmanaged, IFloatLanes<TLanes>
    where TKv : struct, IKvFormat
{
    const int Lanes = LaneMath<TLanes>.Count;
    const int ScaleGroup = KvBlockLayout.ScaleGroup;

    readonly KeyScores<TLanes, TKv> _keyScores = new(layout);
    readonly ValueSums<TLanes, TKv> _valueSums = new(layout);
    readonly int _headSize = layout.HeadSize;
    readonly float _queryFactor = MathF.Sqrt(TKv.Unit);

    /// <summary>Turns what <see cref="KeyScores{TLanes, TKv}"/> gives, for queries times <see cref="_queryFactor"/>, into q . k / sqrt(E).</summary>
    readonly float _scale = MathF.Sqrt(TKv.Unit) / MathF.Sqrt(layout.HeadSize);

    readonly int _paddedSize = layout.PaddedHeadSize;
    readonly long _keys = layout.Keys;
    readonly long _valueScales = layout.ValueScales;
    readonly long _values = layout.Values;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Store(byte* headTile, int slot, float* key, float* value)
    {
        for (var start = 0; start < _headSize; start += ScaleGroup)
        {
            var end = Math.Min(start + ScaleGroup, _headSize);
            var scale = (start / ScaleGroup * Lanes) + slot;
            var keyFactor = TKv.Scale(key + start, end - start, (ushort*)headTile + scale);
            var valueFactor = TKv.Scale(value + start, end - start, (ushort*)(headTile + _valueScales) + scale);
            for (var e = start; e < end; e++)
            {
                TKv.Store(key[e] * keyFactor, headTile + _keys, vector: e, lane: slot);
                TKv.Store(value[e] * valueFactor, headTile + _values, vector: e - (e % Lanes) + slot, lane: e % Lanes);
            }
        }
    }

    /// <remarks>Half of the unit goes into the queries and half into the scores, so that neither leaves the range of a float.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void TakeQueries(ReadOnlySpan<float> queries, float* taken)
    {
        for (var i = 0; i < queries.Length; i++) taken[i] = queries[i] * _queryFactor;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Attend(
        in KvHead head, int rows, int group, int position, int first, int end, int reach, in AttentionScratch scratch, in AttentionState state)
    {
        new Span<float>(state.Max, rows * group).Fill(float.NegativeInfinity);
        new Span<float>(state.Sum, rows * group).Clear();
        new Span<float>(state.Output, rows * group * _paddedSize).Clear();

        // The blocks of a tile, and those of the next one, which are fetched meanwhile.
        var blocks = stackalloc byte*[2 * BlocksPerTile];
        var lastBlock = (position + rows - 1) / KvBlock.Positions;
        for (var start = first; start < end; start += TilePositions)
        {
            var count = Math.Min(TilePositions, end - start);
            for (var b = 0; b < 2 * BlocksPerTile; b++)
                blocks[b] = head.Tile(Math.Min((start / KvBlock.Positions) + b, lastBlock));

            // Rows that see only a part of the tile go one by one, all others together. Later rows see later positions.
            var row = Math.Max(0, start - position);
            var last = (int)Math.Min(rows, (long)start + count - 1 + reach - position);   // those from here on see nothing of it
            if (row >= last) continue;
            var whole = Math.Clamp(start + count - 1 - position, row, last);
            for (; row < whole; row++)
                AttendTile(blocks, row * group, group, Hidden(position + row, start, reach), position + row - start + 1, scratch, state);
            var cut = (int)Math.Clamp((long)start + reach - position, row, last);         // those from here on do not see its beginning
            if (row < cut)
                AttendTile(blocks, row * group, (cut - row) * group, 0, count, scratch, state);
            for (row = cut; row < last; row++)
                AttendTile(blocks, row * group, group, Hidden(position + row, start, reach), count, scratch, state);
        }
    }

    /// <summary>How many positions of a tile are too far back for a row to see.</summary>
    static int Hidden(int position, int start, int reach) => Math.Max(0, position - reach + 1 - start);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Add(in AttentionState part, in AttentionState total, int first, int end)
    {
        for (var q = first; q < end; q++)
        {
            var max = MathF.Max(total.Max[q], part.Max[q]);
            var totalScale = LaneMath<TLanes>.Exp(TLanes.Broadcast(total.Max[q] - max));
            var partScale = LaneMath<TLanes>.Exp(TLanes.Broadcast(part.Max[q] - max));
            for (var e = 0; e < _paddedSize; e += Lanes)
            {
                var at = total.Output + (q * _paddedSize) + e;
                var added = TLanes.Load(part.Output + (q * _paddedSize) + e) * partScale;
                TLanes.Store(TLanes.MultiplyAdd(TLanes.Load(at), totalScale, added), at);
            }
            total.Sum[q] = TLanes.Max(TLanes.MultiplyAdd(TLanes.Broadcast(total.Sum[q]), totalScale, TLanes.Broadcast(part.Sum[q]) * partScale));
            total.Max[q] = max;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Finish(in AttentionState state, int first, int queries, float* output)
    {
        for (var q = 0; q < queries; q++, output += _headSize)
        {
            var sums = state.Output + ((first + q) * _paddedSize);
            var divisor = TLanes.Broadcast(state.Sum[first + q]);
            var e = 0;
            for (; e + Lanes <= _headSize; e += Lanes) TLanes.Store(TLanes.Load(sums + e) / divisor, output + e);
            if (e < _headSize) LaneMath<TLanes>.StoreFirst(TLanes.Load(sums + e) / divisor, output + e, _headSize - e);
        }
    }

    /// <summary>
    /// Queries <paramref name="query"/> .. of the scratch attend to the first <paramref name="count"/> positions of a tile, without the
    /// <paramref name="hidden"/> first ones of these.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void AttendTile(byte** blocks, int query, int queries, int hidden, int count, in AttentionScratch scratch, in AttentionState state)
    {
        _keyScores.Compute(blocks, (count + Lanes - 1) / Lanes, scratch.Queries + (query * _headSize), queries, scratch.Weights);
        Weigh(query, queries, hidden, count, scratch.Weights, state);
        for (var b = 0; b * Lanes < count; b++)
        {
            var slots = Math.Min(Lanes, count - (b * Lanes));
            var (weights, outputs) = (b * Lanes, query * _paddedSize);
            _valueSums.Add(blocks[b], blocks[b + BlocksPerTile], slots, scratch.Weights + weights, queries, scratch.ScaledWeights, state.Output + outputs);
        }
    }

    /// <summary>The online softmax: scores of a tile become weights, and max and sum take them in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Weigh(int query, int queries, int hidden, int count, float* scores, in AttentionState state)
    {
        var scale = TLanes.Broadcast(_scale);
        var end = (count + Lanes - 1) / Lanes * Lanes;
        for (var q = query; q < query + queries; q++, scores += TilePositions)
        {
            for (var i = 0; i < hidden; i++) scores[i] = float.NegativeInfinity;
            for (var i = count; i < end; i++) scores[i] = float.NegativeInfinity;

            var greatest = TLanes.Load(scores) * scale;
            for (var i = Lanes; i < end; i += Lanes) greatest = TLanes.Max(greatest, TLanes.Load(scores + i) * scale);
            var tileMax = TLanes.Max(greatest);
            if (!(tileMax <= state.Max[q])) RaiseMax(q, tileMax, state);

            var max = TLanes.Broadcast(state.Max[q]);
            var sum = TLanes.Broadcast(0);
            for (var i = 0; i < end; i += Lanes)
            {
                var weight = LaneMath<TLanes>.Exp((TLanes.Load(scores + i) * scale) - max);
                sum += weight;
                TLanes.Store(TKv.Unit == 1 ? weight : weight * TLanes.Broadcast(TKv.Unit), scores + i);
            }
            state.Sum[q] += TLanes.Sum(sum);
        }
    }

    /// <summary>What has been added up so far was relative to the old maximum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void RaiseMax(int query, float max, in AttentionState state)
    {
        var factors = LaneMath<TLanes>.Exp(TLanes.Broadcast(state.Max[query] - max));
        var output = state.Output + (query * _paddedSize);
        for (var e = 0; e < _paddedSize; e += Lanes) TLanes.Store(TLanes.Load(output + e) * factors, output + e);
        state.Sum[query] *= TLanes.Max(factors);
        state.Max[query] = max;
    }
}
