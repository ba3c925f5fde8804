namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// Cuts the numbers of a sum into chunks. A chunk travels as one message, or as one message per part where every rank adds up a part of it.
/// The cuts are at multiples of 32 from the start, like the blocks of q8, so that rounding does not depend on the cuts.
/// </summary>
/// <param name="length">Numbers of the sum.</param>
/// <param name="parts">Parts of a chunk. 1: it travels whole.</param>
readonly struct SumChunks(int length, int parts)
{
    /// <summary>The most numbers of a message: 32 KiB of f32, an eighth of a link's window.</summary>
    public const int MessageValues = 8192;

    const int Block = 32;

    readonly long _chunk = (long)MessageValues * parts;

    public int Count => (int)((length + _chunk - 1) / _chunk);

    public SumRange this[int index] => new((int)(index * _chunk), (int)Math.Min(_chunk, length - index * _chunk));

    /// <summary>The numbers of one part of a chunk. It is empty where there are fewer blocks than parts.</summary>
    public SumRange Part(int index, int part)
    {
        var chunk = this[index];
        var blocks = (chunk.Count + Block - 1) / Block;
        var first = (int)((long)blocks * part / parts) * Block;
        var end = Math.Min(chunk.Count, (int)((long)blocks * (part + 1) / parts) * Block);
        return new SumRange(chunk.First + first, end - first);
    }
}

/// <summary>Consecutive numbers of a sum.</summary>
readonly record struct SumRange(int First, int Count)
{
    public Span<float> Of(Span<float> values) => values.Slice(First, Count);

    public ReadOnlySpan<float> Of(ReadOnlySpan<float> values) => values.Slice(First, Count);
}
