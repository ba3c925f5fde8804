using System.Text;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>What was generated for an answer and how much of it was told: the ids, the text that they stand for, and what the client got of it.</summary>
sealed class AnswerRecord
{
    readonly List<int> _ids = [];
    readonly StringBuilder _text = new();

    /// <summary>The replica that generated it; empty: none yet.</summary>
    public string Replica { get; private set; } = "";

    /// <summary>Tokens that were generated, a last stop id among them.</summary>
    public int Generated { get; private set; }

    /// <summary>As the model wrote it, with the marks of reasoning and calls.</summary>
    public string Text => _text.ToString();

    /// <summary>As the client got it.</summary>
    public WholeChoice Told { get; } = new();

    /// <summary>The client got other words than the model's, or not all of them.</summary>
    public bool IsFiltered { get; private set; }

    public void Begin(string replica) => Replica = replica;

    /// <param name="stops">It is an id that ends the answer and is no part of it.</param>
    public void Add(int id, bool stops)
    {
        Generated++;
        if (!stops) _ids.Add(id);
    }

    public void Add(string text) => _text.Append(text);

    /// <param name="isReplaced">The words are not the model's.</param>
    public void Tell(ChoiceDelta told, bool isReplaced)
    {
        Told.Add(told);
        IsFiltered |= isReplaced;
    }

    /// <summary>What has not been told will not be.</summary>
    public void Cut() => IsFiltered = true;

    /// <summary>
    /// The first ids that stand for the beginning of the text exactly. Left out is a token that a stop text ends within, one of half a character, and all that
    /// follows a control token, which the text does not show.
    /// </summary>
    /// <returns>The ids, and for how many UTF-16 characters of the text they stand.</returns>
    public (int[] Ids, int Characters) Exact(ITokenizer tokenizer)
    {
        if (IsFiltered) return ([], 0);
        ReadOnlySpan<byte> text = Encoding.UTF8.GetBytes(Text);
        var (at, exactIds, exactBytes) = (0, 0, 0);
        for (var i = 0; i < _ids.Count; i++)
        {
            var bytes = tokenizer.BytesOf(_ids[i]).Span;
            if (tokenizer.IsControl(_ids[i]) || !text[at..].StartsWith(bytes)) break;
            at += bytes.Length;
            if (at == text.Length || (text[at] & 0xC0) != 0x80) (exactIds, exactBytes) = (i + 1, at);
        }
        return ([.. _ids.Take(exactIds)], Encoding.UTF8.GetCharCount(text[..exactBytes]));
    }
}
