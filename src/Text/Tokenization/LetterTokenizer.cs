namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// A tokenizer for random weights, whose text means nothing. One byte of text is one token, and every token is written as one letter, so
/// that a reader sees something for each. No token ends a text.
/// </summary>
sealed class LetterTokenizer(int vocabularySize) : ITokenizer
{
    const int Letters = 26;

    static readonly byte[] Alphabet = [.. Enumerable.Range('a', Letters).Select(letter => (byte)letter)];

    public int VocabularySize => vocabularySize;

    public int? BosId => null;

    public int? EosId => null;

    public IReadOnlySet<int> StopIds { get; } = new HashSet<int>();

    public void Encode(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, bool parseSpecial)
    {
        foreach (var letter in text) ids.Add(letter % vocabularySize);
    }

    public ReadOnlyMemory<byte> BytesOf(int id) => (uint)id < (uint)vocabularySize ? Alphabet.AsMemory(id % Letters, 1) : default;

    public bool IsControl(int id) => false;

    public void Decode(ReadOnlySpan<int> ids, List<byte> text, bool includeControl)
    {
        foreach (var id in ids) text.AddRange(BytesOf(id).Span);
    }

    public int? FindToken(string written) => null;
}
