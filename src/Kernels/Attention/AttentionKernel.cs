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
        KernelWidth.Avx512 => For<Lanes512>(layout),
        KernelWidth.AvxVnni or KernelWidth.Avx2 => For<Lanes256>(layout),
        KernelWidth.Vector128 => For<Lanes128>(layout),
        KernelWidth.Scalar => For<PlainLanes>(layout),
        _ => throw new ArgumentOutOfRangeException(nameof(width), width, "not a kernel width"),
    };

    static AttentionKernel For<TLanes>(KvBlockLayout layout)
        where TLanes : unmanaged, IFloatLanes<TLanes> => layout.Type switch
        {
            KvType.F32 => new AttentionKernel<TLanes, KvF32>(layout),
            KvType.F16 => new AttentionKernel<TLanes, KvF16>(layout),
            KvType.Q8_0 => new AttentionKernel<TLanes, KvQ8>(layout),
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
    public abstract void Attend(in KvHead head, int rows, int group, int position, int first, int end, in AttentionScratch scratch, in AttentionState state);

    /// <summary>Adds a later partition's result to that of those before it, for queries <paramref name="first"/> to <paramref name="end"/>.</summary>
    public abstract void Add(in AttentionState part, in AttentionState total, int first, int end);

    /// <summary>output / sum of <paramref name="queries"/> queries, [E] each.</summary>
    public abstract void Finish(in AttentionState state, int first, int queries, float* output);
}
