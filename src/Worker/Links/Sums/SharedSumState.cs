namespace LlamaCluster.Worker.Links.Sums;

/// <summary>A sum that several ranks are at work on: this one's terms, in whose places come the sums. Used again and again.</summary>
sealed class SharedSumState
{
    SumChunks _chunks;
    int _parts;
    int _length;
    float[] _values = [];

    public uint Exchange { get; private set; }

    /// <summary>Chunks whose parts have been sent to those who add them up.</summary>
    public int Scattered { get; set; }

    /// <summary>Chunks whose sums are here.</summary>
    public int Gathered { get; set; }

    public bool IsScattered => Scattered == _chunks.Count;

    public bool IsComplete => Gathered == _chunks.Count;

    public ReadOnlySpan<float> Values => _values.AsSpan(0, _length);

    /// <param name="parts">As many as there are ranks.</param>
    /// <param name="own">Copied: chunks of it go out while the caller is at other things.</param>
    public void Begin(uint exchange, int parts, ReadOnlySpan<float> own)
    {
        if (_values.Length < own.Length) _values = GC.AllocateUninitializedArray<float>(own.Length);
        own.CopyTo(_values);
        (Exchange, _parts, _length, _chunks, Scattered, Gathered) = (exchange, parts, own.Length, new SumChunks(own.Length, parts), 0, 0);
    }

    /// <summary>What a rank adds up of a chunk.</summary>
    public Span<float> Part(int chunk, int rank) => _chunks.Part(chunk, rank).Of(_values.AsSpan());
}
