using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>Attention to keys and values that are floats.</summary>
/// <remarks>Half of the type's unit goes into the queries and half into the scores, so that neither leaves the range of a float.</remarks>
sealed unsafe class FloatAttention<TLanes, TKv>(KvBlockLayout layout)
    : AttentionKernel<TLanes>(layout, MathF.Sqrt(TKv.Unit) / MathF.Sqrt(layout.HeadSize), TKv.Unit)
    where TLanes : unmanaged, IFloatLanes<TLanes>
    where TKv : struct, IKvFormat
{
    readonly KeyScores<TLanes, TKv> _keyScores = new(layout);
    readonly ValueSums<TLanes, TKv> _valueSums = new(layout);
    readonly float _queryFactor = MathF.Sqrt(TKv.Unit);
    readonly int _headSize = layout.HeadSize;
    readonly long _keys = layout.Keys;
    readonly long _values = layout.Values;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Store(byte* headTile, int slot, float* key, float* value)
    {
        for (var e = 0; e < _headSize; e++)
        {
            TKv.Store(key[e], headTile + _keys, vector: e, lane: slot);
            TKv.Store(value[e], headTile + _values, vector: e - (e % Lanes) + slot, lane: e % Lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void TakeQueries(ReadOnlySpan<float> queries, float* taken)
    {
        for (var i = 0; i < queries.Length; i++) taken[i] = queries[i] * _queryFactor;
    }

    protected override void Score(byte** blocks, int count, float* queries, int queryCount, float* scores) =>
        _keyScores.Compute(blocks, count, queries, queryCount, scores);

    protected override void AddValues(byte** blocks, int count, float* weights, int queries, float* scaledWeights, float* outputs) =>
        _valueSums.Add(blocks, count, weights, queries, outputs);
}
