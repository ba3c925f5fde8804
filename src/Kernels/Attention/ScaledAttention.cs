using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Attention to keys and values that are small integers times scales (<see cref="IScaledKvFormat"/>), with products of integers: queries, and weights times
/// the values' scales, are rounded to 15 bits and a sign, relative to the greatest of their group, which is far finer than what is stored.
/// </summary>
sealed unsafe class ScaledAttention<TLanes, TIntegers, TKv>(KvBlockLayout layout) : AttentionKernel<TLanes>(layout, 1 / MathF.Sqrt(layout.HeadSize), unit: 1)
    where TLanes : unmanaged, IFloatLanes<TLanes>
    where TIntegers : unmanaged, IIntegerLanes<TIntegers, TLanes>
    where TKv : struct, IScaledKvFormat
{
    const int ScaleGroup = KvBlockLayout.ScaleGroup;

    readonly ScaledKeyScores<TLanes, TIntegers, TKv> _keyScores = new(layout);
    readonly ScaledValueSums<TLanes, TIntegers, TKv> _valueSums = new(layout);
    readonly KvBlockLayout _layout = layout;
    readonly int _headSize = layout.HeadSize;
    readonly int _groups = layout.ScaleGroups;
    readonly long _keys = layout.Keys;
    readonly long _valueScales = layout.ValueScales;
    readonly long _values = layout.Values;

    /// <summary>Bytes of two positions' dimensions of all groups, up to the next group's.</summary>
    static int GroupBytes => Lanes / 2 * TKv.StepBytes;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Store(byte* headTile, int slot, float* key, float* value)
    {
        float* rotatedKey = stackalloc float[_headSize], rotatedValue = stackalloc float[_headSize];
        key = Rotated(key, rotatedKey);
        value = Rotated(value, rotatedValue);
        for (var group = 0; group < _groups; group++)
        {
            var start = group * ScaleGroup;
            var end = Math.Min(start + ScaleGroup, _headSize);
            var scale = (group * Lanes) + slot;
            var keyFactor = TKv.Scale(key + start, end - start, (ushort*)headTile + scale);
            var valueFactor = TKv.Scale(value + start, end - start, (ushort*)(headTile + _valueScales) + scale);
            var values = headTile + _values + ((long)group * GroupBytes) + (slot / 2 * TKv.StepBytes);
            for (var e = start; e < end; e++)
            {
                TKv.Store(key[e] * keyFactor, headTile + _keys + (e / 4 * TKv.StepBytes), register: e / 2 % 2, (2 * slot) + (e % 2));
                TKv.Store(value[e] * valueFactor, values, register: e / Lanes % 2, (2 * (e % Lanes)) + (slot % 2));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void TakeQueries(ReadOnlySpan<float> queries, float* taken)
    {
        var padded = _layout.PaddedHeadSize;
        var query = stackalloc float[padded];
        new Span<float>(query, padded).Clear();
        var zero = TLanes.Broadcast(0);
        for (; queries.Length > 0; queries = queries[_headSize..], taken += _layout.QueryRoom)
        {
            queries[.._headSize].CopyTo(new Span<float>(query, _headSize));
            if (TKv.Rotates) Rotation<TLanes>.Apply(query, _headSize);
            for (var group = 0; group < _groups; group++)
            {
                TLanes a = TLanes.Load(query + (group * ScaleGroup)), b = TLanes.Load(query + (group * ScaleGroup) + Lanes);
                var unit = taken + (padded / 2) + group;
                var factor = TLanes.Broadcast(FixedPoint.Unit(TLanes.Max(TLanes.Max(TLanes.Abs(a), TLanes.Abs(b))), unit));
                // A number that is not finite makes the scores so, and is found there.
                *unit += TLanes.Sum(TLanes.MultiplyAdd(a, zero, b * zero));
                TIntegers.StoreRounded(a * factor, (short*)taken + (group * ScaleGroup));
                TIntegers.StoreRounded(b * factor, (short*)taken + (group * ScaleGroup) + Lanes);
            }
        }
    }

    public override void Finish(in AttentionState state, int first, int queries, float* output)
    {
        base.Finish(state, first, queries, output);
        if (!TKv.Rotates) return;
        for (var q = 0; q < queries; q++) Rotation<TLanes>.Apply(output + (q * _headSize), _headSize);
    }

    protected override void Score(byte** blocks, int count, float* queries, int queryCount, float* scores) =>
        _keyScores.Compute(blocks, count, queries, queryCount, scores);

    protected override void AddValues(byte** blocks, int count, float* weights, int queries, float* scaledWeights, float* outputs) =>
        _valueSums.Add(blocks, count, weights, queries, scaledWeights, outputs);

    float* Rotated(float* head, float* room)
    {
        if (!TKv.Rotates) return head;
        new Span<float>(head, _headSize).CopyTo(new Span<float>(room, _headSize));
        Rotation<TLanes>.Apply(room, _headSize);
        return room;
    }
}
