using System.Text;

namespace LlamaCluster.Text.Templates;

/// <summary>A text for the model, and which of its characters somebody else than its author wrote where a special token could be made of them.</summary>
/// <param name="Text">As the model reads it.</param>
/// <param name="Words">
/// Indices of characters of <paramref name="Text"/>, ascending. A special token that would take in one of them is not recognised; its letters are words.
/// </param>
public sealed record PromptText(string Text, IReadOnlyList<int> Words)
{
    /// <summary>A text whose special tokens all count.</summary>
    public PromptText(string text) : this(text, [])
    {
    }

    public PromptText From(int start) => new(Text[start..], [.. Words.Where(index => index >= start).Select(index => index - start)]);

    public PromptText UpTo(int end) => new(Text[..end], [.. Words.Where(index => index < end)]);

    /// <summary>Where the <see cref="Words"/> begin in the text's UTF-8.</summary>
    public int[] WordsInUtf8()
    {
        var offsets = new int[Words.Count];
        var (characters, bytes) = (0, 0);
        foreach (var (index, word) in Words.Index())
        {
            bytes += Encoding.UTF8.GetByteCount(Text.AsSpan(characters, word - characters));
            (offsets[index], characters) = (bytes, word);
        }
        return offsets;
    }
}
