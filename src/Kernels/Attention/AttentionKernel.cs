using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Attention of a group of query heads to the one kv head they share, over a part of a sequence's positions. One instance per vector
/// width and KV type; those of one KV type all give the same bits.
/// <para>
/// The order of every sum is fixed by positions alone: tiles of 64 positions from a partition's start, an online softmax from tile
/// to tile, 16 partial sums within a tile. So a row's result does not depend on how many rows are computed together.
/// </para>
/// </summary>
abstract unsafe class AttentionKernel(KvBlockLayout layout)
{
    public const int TilePositions = BlocksPerTile * KvBlock.Positions;

    public const int BlocksPerTile = 4;

    protected KvBlockLayout Layout { get; } = layout;

    public static AttentionKernel For(KvBlockLayout layout, KernelWidth width) => width switch
    {
        KernelWidth.Avx512Vnni or KernelWidth.Avx512 => For<Lanes512, Integers512>(layout),
        KernelWidth.AvxVnni or KernelWidth.Avx2 => For<Lanes256, Integers256>(layout),
        KernelWidth.Vector128 => For<Lanes128, Integers128>(layout),
        KernelWidth.Scalar => For<PlainLanes, PlainIntegers>(layout),
        _ => throw new ArgumentOutOfRangeException(nameof(width), width, "not a kernel width"),
    };

    static AttentionKernel For<TLanes, TIntegers>(KvBlockLayout layout)
        where TLanes : unmanaged, IFloatLanes<TLanes>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TLanes> => layout.Type switch
        {
            KvType.F32 => new FloatAttention<TLanes, KvF32>(layout),
            KvType.F16 => new FloatAttention<TLanes, KvF16>(layout),
            KvType.Q8_0 => new ScaledAttention<TLanes, TIntegers, KvQ8>(layout),
            KvType.Q4_0 => new ScaledAttention<TLanes, TIntegers, KvQ4>(layout),
            _ => throw new ArgumentOutOfRangeException(nameof(layout), layout.Type, "not a KV type"),
        };

    /// <summary>Puts one position's key and value [E] into its slot of a head tile. The numbers must be finite.</summary>
    public abstract void Store(byte* headTile, int slot, float* key, float* value);

    /// <summary>Puts queries into scratch memory, in the form that <see cref="Attend"/> reads.</summary>
    /// <param name="taken">Part of <see cref="AttentionScratch.Queries"/>.</param>
    public abstract void TakeQueries(ReadOnlySpan<float> queries, float* taken);

    /// <summary>
    /// Attends to positions <paramref name="first"/> (a multiple of 64) to <paramref name="end"/>, as far as each row may see them, and
    /// leaves the result in <paramref name="state"/>. Row r has position <c>position + r</c> and <paramref name="group"/> queries,
    /// which stand one after the other in <see cref="AttentionScratch.Queries"/>.
    /// </summary>
    /// <param name="reach">A row sees so many positions at most, its own and those before it.</param>
    public abstract void Attend(
        in KvHead head, int rows, int group, int position, int first, int end, int reach, in AttentionScratch scratch, in AttentionState state);

    /// <summary>Adds a later partition's result to that of those before it, for queries <paramref name="first"/> to <paramref name="end"/>.</summary>
    public abstract void Add(in AttentionState part, in AttentionState total, int first, int end);

    /// <summary>output / sum of <paramref name="queries"/> queries, [E] each.</summary>
    public abstract void Finish(in AttentionState state, int first, int queries, float* output);
}

/// <summary>What one thread needs to attend with up to N queries at a time. Pointers into one piece of memory.</summary>
readonly unsafe struct AttentionScratch
{
    public AttentionScratch(float* memory, KvBlockLayout layout, int queries)
    {
        Queries = memory;
        Weights = Queries + (queries * layout.QueryRoom);
        ScaledWeights = Weights + (queries * AttentionKernel.TilePositions);
        Total = AttentionState.At(ScaledWeights + (queries * AttentionKernel.TilePositions), layout, queries);
        Part = AttentionState.At(Total.Sum + queries, layout, queries);
    }

    /// <summary>N times <see cref="KvBlockLayout.QueryRoom"/>, as <see cref="AttentionKernel.TakeQueries"/> leaves them.</summary>
    public float* Queries { get; }

    /// <summary>[N, 64] scores of a tile of positions, then their weights e^(score - max), times the KV type's unit.</summary>
    public float* Weights { get; }

    /// <summary>[N, 64] weights times value scales, of the scale group at work; only of scaled types.</summary>
    public float* ScaledWeights { get; }

    /// <summary>State over the partitions that are done.</summary>
    public AttentionState Total { get; }

    /// <summary>State of the partition at work.</summary>
    public AttentionState Part { get; }

    /// <summary>Floats that this takes.</summary>
    public static long Length(KvBlockLayout layout, int queries) => checked(
        ((long)queries * (layout.QueryRoom + (2 * AttentionKernel.TilePositions))) + (2 * AttentionState.Length(layout, queries)));
}

/// <summary>
/// An online softmax under way (https://arxiv.org/abs/1805.02867, with values as in https://arxiv.org/abs/2205.14135) for N queries
/// of one kv head. With s the scores seen so far: max = max s, sum = sum of e^(s - max), output = sum of e^(s - max) v.
/// </summary>
readonly unsafe struct AttentionState(float* output, float* max, float* sum)
{
    /// <summary>[N, E'] not yet divided by the sum.</summary>
    public float* Output { get; } = output;

    /// <summary>[N]</summary>
    public float* Max { get; } = max;

    /// <summary>[N]</summary>
    public float* Sum { get; } = sum;

    /// <summary>Floats that a state of N queries takes.</summary>
    public static long Length(KvBlockLayout layout, int queries) => checked((long)queries * (layout.PaddedHeadSize + 2));

    /// <summary>A state whose three parts stand one after the other.</summary>
    public static AttentionState At(float* memory, KvBlockLayout layout, int queries)
    {
        var max = memory + ((long)queries * layout.PaddedHeadSize);
        return new(memory, max, max + queries);
    }
}
