namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// Cuts the numbers of a sum into chunks that fit into one message each, or, where every rank adds up one part of it, one message a part. Cuts
/// are at multiples of 32 from the start, as the blocks of q8 are: so what becomes of a number does not depend on the cuts.
/// </summary>
/// <param name="length">Numbers of the sum.</param>
/// <param name="parts">Of a chunk that travel separately; 1: it travels whole.</param>
readonly struct SumChunks(int length, int parts)
{
    /// <summary>Numbers of a message at most: 32 KiB of f32, an eighth of a link's window.</summary>
    public const int MessageValues = 8192;

    const int Block = 32;

    readonly long _chunk = (long)MessageValues * parts;

    public int Count => (int)((length + _chunk - 1) / _chunk);

    public SumRange this[int index] => new((int)(index * _chunk), (int)Math.Min(_chunk, length - index * _chunk));

    /// <summary>What one part has of a chunk; nothing where there are fewer blocks than parts.</summary>
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
