using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>Which positions rows see that do not see all.</summary>
/// <param name="Positions">At most so many; 0: there are no such rows.</param>
/// <param name="Slides">
/// A row sees its own position and the last ones before it. Else a sequence's positions are cut into windows of this size, in whole blocks, and a row sees
/// those of its own window, which is computed as if the sequence began there.
/// </param>
public readonly record struct AttentionWindow(int Positions, bool Slides = false);

/// <summary>
/// What the rows of a step attend to: all earlier positions of their sequence, or those in their window. For windows that do not slide the step's chunks
/// are cut where one ends, and each piece counts its positions and blocks from the beginning of its window.
/// </summary>
/// <param name="maxRows">The most rows of a step.</param>
/// <param name="cut">Positions of a window that does not slide; 0: nothing is cut.</param>
sealed class AttentionView(AttentionPlan plan, int maxRows, int cut = 0)
{
    readonly AttentionChunk[] _chunks = cut % KvBlock.Positions == 0
        ? new AttentionChunk[maxRows]
        : throw new ArgumentException($"windows of {cut} positions are not whole blocks of {KvBlock.Positions}", nameof(cut));

    public AttentionPlan Plan { get; } = plan;

    /// <summary>A chunk that the plan's tasks are of.</summary>
    public ref readonly AttentionChunk this[int chunk] => ref _chunks[chunk];

    public void Set(ReadOnlySpan<AttentionChunk> chunks)
    {
        if (cut == 0)
        {
            chunks.CopyTo(_chunks);
            Plan.Set(chunks);
            return;
        }
        var count = 0;
        foreach (var chunk in chunks)
        {
            for (var row = 0; row < chunk.Rows; count++)
            {
                var (number, start) = Math.DivRem(chunk.Start + row, cut);
                var rows = Math.Min(chunk.Rows - row, cut - start);
                _chunks[count] = new AttentionChunk(chunk.FirstRow + row, rows, start, chunk.Blocks, chunk.FirstBlock + (number * (cut / KvBlock.Positions)));
                row += rows;
            }
        }
        Plan.Set(_chunks.AsSpan(0, count));
    }
}
