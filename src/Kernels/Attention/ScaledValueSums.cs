using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Sums of values, which are integers times scales, each with its weight. One lane is one dimension of the head. For each query, tile and scale group the
/// weights times the scales are rounded to 15 bits and a sign, relative to their greatest; products are then added up exactly, as integers: how many queries
/// are taken at a time changes no bit, and neither do positions of weight 0.
/// </summary>
/// <param name="layout">Layout of the head tiles.</param>
sealed unsafe class ScaledValueSums<TLanes, TIntegers, TKv>(KvBlockLayout layout)
    where TLanes : unmanaged, IFloatLanes<TLanes>
    where TIntegers : unmanaged, IIntegerLanes<TIntegers, TLanes>
    where TKv : struct, IScaledKvFormat
{
    const int Lanes = LaneMath<TLanes>.Count;
    const int Tile = AttentionKernel.TilePositions;
    const int Blocks = AttentionKernel.BlocksPerTile;

    /// <summary>Positions of a step.</summary>
    const int StepPositions = 2;

    readonly int _size = layout.PaddedHeadSize;
    readonly int _groups = layout.ScaleGroups;
    readonly long _scales = layout.ValueScales;
    readonly long _values = layout.Values;

    /// <summary>Bytes of a scale group of a block's positions.</summary>
    static int GroupBytes => KvBlock.Positions / StepPositions * TKv.StepBytes;

    /// <summary>outputs[queries, E'] += weights[queries, 64] . values of the first <paramref name="count"/> positions of a tile.</summary>
    /// <param name="blocks">Head tiles of a tile's blocks and, behind them, those that will be needed next.</param>
    /// <param name="weights">Those behind <paramref name="count"/> are 0.</param>
    /// <param name="scaledWeights">[queries, 64] of room: for each query 64 numbers of 16 bits, and what they are multiples of.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(byte** blocks, int count, float* weights, int queries, float* scaledWeights, float* outputs)
    {
        for (var b = 0; b * KvBlock.Positions < count; b++)
            for (var scales = _scales; scales < _values; scales += KvBlockLayout.Alignment) TLanes.Prefetch(blocks[Blocks + b] + scales);

        for (var group = 0; group < _groups; group++)
        {
            ScaleWeights(blocks, count, group, weights, queries, scaledWeights);
            var values = _values + ((long)group * GroupBytes);
            var output = outputs + (group * KvBlockLayout.ScaleGroup);
            var q = 0;
            for (; TLanes.Registers == 1 && q + 4 <= queries; q += 4) Add4(blocks, count, values, scaledWeights + (q * Tile), output + (q * _size));
            for (; TLanes.Registers <= 2 && q + 2 <= queries; q += 2) Add2(blocks, count, values, scaledWeights + (q * Tile), output + (q * _size));
            for (; q < queries; q++) Add1(blocks, count, values, scaledWeights + (q * Tile), output + (q * _size));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Add4(byte** blocks, int count, long offset, float* scaledWeights, float* outputs)
    {
        float* w0 = scaledWeights, w1 = w0 + Tile, w2 = w1 + Tile, w3 = w2 + Tile;
        TIntegers a0 = TIntegers.Zero, a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
        for (var first = 0; first < count; first += KvBlock.Positions, blocks++)
        {
            var values = blocks[0] + offset;
            var next = blocks[Blocks] - blocks[0];
            var end = Math.Min(first + KvBlock.Positions, count);
            for (var position = first; position < end; position += StepPositions, values += TKv.StepBytes)
            {
                TLanes.Prefetch(values + next);
                TKv.Load<TIntegers, TLanes>(values, out var a, out var b);
                var weight = TIntegers.SpreadPair((short*)w0 + position);
                (a0, b0) = (TIntegers.MultiplyAddPairs(a, weight, a0), TIntegers.MultiplyAddPairs(b, weight, b0));
                weight = TIntegers.SpreadPair((short*)w1 + position);
                (a1, b1) = (TIntegers.MultiplyAddPairs(a, weight, a1), TIntegers.MultiplyAddPairs(b, weight, b1));
                weight = TIntegers.SpreadPair((short*)w2 + position);
                (a2, b2) = (TIntegers.MultiplyAddPairs(a, weight, a2), TIntegers.MultiplyAddPairs(b, weight, b2));
                weight = TIntegers.SpreadPair((short*)w3 + position);
                (a3, b3) = (TIntegers.MultiplyAddPairs(a, weight, a3), TIntegers.MultiplyAddPairs(b, weight, b3));
            }
        }
        AddTo(outputs, a0, b0, w0);
        AddTo(outputs + _size, a1, b1, w1);
        AddTo(outputs + (2 * _size), a2, b2, w2);
        AddTo(outputs + (3 * _size), a3, b3, w3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Add2(byte** blocks, int count, long offset, float* scaledWeights, float* outputs)
    {
        TIntegers a0 = TIntegers.Zero, a1 = a0, b0 = a0, b1 = a0;
        for (var first = 0; first < count; first += KvBlock.Positions, blocks++)
        {
            var values = blocks[0] + offset;
            var next = blocks[Blocks] - blocks[0];
            var end = Math.Min(first + KvBlock.Positions, count);
            for (var position = first; position < end; position += StepPositions, values += TKv.StepBytes)
            {
                TLanes.Prefetch(values + next);
                TKv.Load<TIntegers, TLanes>(values, out var a, out var b);
                var weight = TIntegers.SpreadPair((short*)scaledWeights + position);
                (a0, b0) = (TIntegers.MultiplyAddPairs(a, weight, a0), TIntegers.MultiplyAddPairs(b, weight, b0));
                weight = TIntegers.SpreadPair((short*)(scaledWeights + Tile) + position);
                (a1, b1) = (TIntegers.MultiplyAddPairs(a, weight, a1), TIntegers.MultiplyAddPairs(b, weight, b1));
            }
        }
        AddTo(outputs, a0, b0, scaledWeights);
        AddTo(outputs + _size, a1, b1, scaledWeights + Tile);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Add1(byte** blocks, int count, long offset, float* scaledWeights, float* output)
    {
        TIntegers sumA = TIntegers.Zero, sumB = TIntegers.Zero;
        for (var first = 0; first < count; first += KvBlock.Positions, blocks++)
        {
            var values = blocks[0] + offset;
            var next = blocks[Blocks] - blocks[0];
            var end = Math.Min(first + KvBlock.Positions, count);
            for (var position = first; position < end; position += StepPositions, values += TKv.StepBytes)
            {
                TLanes.Prefetch(values + next);
                TKv.Load<TIntegers, TLanes>(values, out var a, out var b);
                var weight = TIntegers.SpreadPair((short*)scaledWeights + position);
                (sumA, sumB) = (TIntegers.MultiplyAddPairs(a, weight, sumA), TIntegers.MultiplyAddPairs(b, weight, sumB));
            }
        }
        AddTo(output, sumA, sumB, scaledWeights);
    }

    /// <summary>Adds a tile's sums over 32 dimensions to what there is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void AddTo(float* output, TIntegers a, TIntegers b, float* scaledWeights)
    {
        var unit = TLanes.Broadcast(*UnitOf(scaledWeights));
        TLanes.Store(TLanes.MultiplyAdd(TIntegers.ToSingle(a), unit, TLanes.Load(output)), output);
        TLanes.Store(TLanes.MultiplyAdd(TIntegers.ToSingle(b), unit, TLanes.Load(output + Lanes)), output + Lanes);
    }

    /// <summary>What a query's scaled weights are multiples of: it stands behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static float* UnitOf(float* scaledWeights) => scaledWeights + (Tile / 2);

    /// <remarks>Scales of positions that nobody has stored may be anything: where the weight is 0 they are left out.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void ScaleWeights(byte** blocks, int count, int group, float* weights, int queries, float* scaledWeights)
    {
        var zero = TLanes.Broadcast(0);
        var last = (count - 1) / KvBlock.Positions;
        var scales = _scales + ((long)group * Lanes * sizeof(ushort));
        TLanes s0 = TLanes.LoadBFloat16((ushort*)(blocks[0] + scales)), s1 = TLanes.LoadBFloat16((ushort*)(blocks[Math.Min(1, last)] + scales));
        TLanes s2 = TLanes.LoadBFloat16((ushort*)(blocks[Math.Min(2, last)] + scales)), s3 = TLanes.LoadBFloat16((ushort*)(blocks[last] + scales));
        for (var q = 0; q < queries; q++, weights += Tile, scaledWeights += Tile)
        {
            var w0 = Scaled(weights, s0, zero);
            var w1 = Scaled(weights + Lanes, s1, zero);
            var w2 = Scaled(weights + (2 * Lanes), s2, zero);
            var w3 = Scaled(weights + (3 * Lanes), s3, zero);
            var greatest = TLanes.Max(TLanes.Max(TLanes.Max(TLanes.Abs(w0), TLanes.Abs(w1)), TLanes.Max(TLanes.Abs(w2), TLanes.Abs(w3))));
            var factor = TLanes.Broadcast(FixedPoint.Unit(greatest, UnitOf(scaledWeights)));
            var numbers = (short*)scaledWeights;
            TIntegers.StoreRounded(w0 * factor, numbers);
            TIntegers.StoreRounded(w1 * factor, numbers + Lanes);
            TIntegers.StoreRounded(w2 * factor, numbers + (2 * Lanes));
            TIntegers.StoreRounded(w3 * factor, numbers + (3 * Lanes));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TLanes Scaled(float* weights, TLanes scales, TLanes zero)
    {
        var weight = TLanes.Load(weights);
        return TLanes.WhereGreater(weight, zero, weight * scales, zero);
    }
}
