using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>What does not depend on how keys and values are stored.</summary>
/// <param name="scale">Turns what <see cref="Score"/> gives into q . k / sqrt(E).</param>
/// <param name="unit">What weights are multiplied with before <see cref="AddValues"/>: an even power of two.</param>
abstract unsafe class AttentionKernel<TLanes>(KvBlockLayout layout, float scale, float unit) : AttentionKernel(layout)
    where TLanes : unmanaged, IFloatLanes<TLanes>
{
    protected const int Lanes = LaneMath<TLanes>.Count;

    readonly int _unitExponent = (int)MathF.Log2(unit);
    readonly float _inverseUnit = 1 / unit;
    readonly int _headSize = layout.HeadSize;
    readonly int _paddedSize = layout.PaddedHeadSize;
    readonly int _queryRoom = layout.QueryRoom;

    /// <summary>scores[queries, 64] = queries . keys of the first <paramref name="count"/> blocks of a tile.</summary>
    /// <param name="blocks">Head tiles of a tile's blocks and, behind them, those of the next one.</param>
    protected abstract void Score(byte** blocks, int count, float* queries, int queryCount, float* scores);

    /// <summary>outputs[queries, E'] += weights[queries, 64] . values of the first <paramref name="count"/> positions of a tile.</summary>
    /// <param name="weights">Those behind <paramref name="count"/> are 0.</param>
    /// <param name="scaledWeights">[queries, 64] of room.</param>
    protected abstract void AddValues(byte** blocks, int count, float* weights, int queries, float* scaledWeights, float* outputs);

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
        Score(blocks, (count + Lanes - 1) / Lanes, scratch.Queries + (query * _queryRoom), queries, scratch.Weights);
        Weigh(query, queries, hidden, count, scratch.Weights, state);
        AddValues(blocks, count, scratch.Weights, queries, scratch.ScaledWeights, state.Output + (query * _paddedSize));
    }

    /// <summary>The online softmax: scores of a tile become weights, and max and sum take them in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Weigh(int query, int queries, int hidden, int count, float* scores, in AttentionState state)
    {
        TLanes scales = TLanes.Broadcast(scale), rounder = LaneMath<TLanes>.Rounder(_unitExponent);
        for (var q = query; q < query + queries; q++, scores += TilePositions)
        {
            for (var i = 0; i < hidden; i++) scores[i] = float.NegativeInfinity;
            for (var i = count; i < TilePositions; i++) scores[i] = float.NegativeInfinity;

            var greatest = TLanes.Load(scores);
            for (var i = Lanes; i < TilePositions; i += Lanes) greatest = TLanes.Max(greatest, TLanes.Load(scores + i));
            var tileMax = TLanes.Max(greatest) * scale;
            if (!(tileMax <= state.Max[q])) RaiseMax(q, tileMax, state);

            var max = TLanes.Broadcast(state.Max[q]);
            var sum = TLanes.Broadcast(0);
            for (var i = 0; i < TilePositions; i += Lanes)
            {
                var weight = LaneMath<TLanes>.ExpTimes((TLanes.Load(scores + i) * scales) - max, rounder);
                sum += weight;
                TLanes.Store(weight, scores + i);
            }
            state.Sum[q] += TLanes.Sum(sum) * _inverseUnit;   // exact, since a unit is a power of two
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
