namespace LlamaCluster.Text.Tokenization;

/// <summary>A list of byte strings in one array: hundreds of thousands of tokens without an object each.</summary>
sealed class ByteStrings
{
    readonly List<int> _ends = [];
    byte[] _bytes = new byte[1 << 16];

    public int Count => _ends.Count;

    public ReadOnlySpan<byte> this[int index] => _bytes.AsSpan(StartOf(index)..EndOf(index));

    int Used => _ends.Count == 0 ? 0 : _ends[^1];

    public void Add(ReadOnlySpan<byte> text)
    {
        text.CopyTo(Reserve(text.Length));
        Commit(text.Length);
    }

    /// <summary>Room for a string of at most so many bytes; <see cref="Commit"/> adds it.</summary>
    public Span<byte> Reserve(int maxLength)
    {
        var needed = checked(Used + maxLength);
        if (needed > _bytes.Length) Array.Resize(ref _bytes, (int)Math.Min(Array.MaxLength, Math.Max(needed, 2L * _bytes.Length)));
        return _bytes.AsSpan(Used, maxLength);
    }

    public void Commit(int length) => _ends.Add(Used + length);

    int StartOf(int index) => index == 0 ? 0 : _ends[index - 1];

    Index EndOf(int index) => _ends[index];
}
