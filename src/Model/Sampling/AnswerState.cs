using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Model.Sampling;

/// <summary>
/// Where a sequence's answer stands by its grammar. It follows from the answer's tokens alone, so all ranks come to the same, and so does any worker that
/// computes the sequence again.
/// </summary>
/// <param name="promptLength">The answer begins at this position.</param>
sealed class AnswerState(Grammar grammar, MaskCache masks, int promptLength)
{
    readonly GrammarMatcher _matcher = new(grammar.Rules, masks);

    /// <summary>Tokens of the answer that were taken.</summary>
    public int Count => _matcher.Count;

    /// <summary>Why the grammar cannot be followed any more, in one line; null while it can.</summary>
    public string? Problem { get; private set; }

    public void Add(int token)
    {
        if (Problem is not null) return;
        try
        {
            _matcher.Add(token);
        }
        catch (GrammarException e)
        {
            Problem = e.Message;
        }
    }

    /// <summary>Goes to where the tokens before a position are known: takes tokens back, or takes those of a chunk.</summary>
    /// <param name="chunkStart">Position of the chunk's first token.</param>
    public void GoTo(int position, ReadOnlySpan<int> chunk, int chunkStart)
    {
        var count = Math.Max(0, position - promptLength);
        if (_matcher.Count > count) _matcher.Truncate(count);
        while (_matcher.Count < count && Problem is null) Add(chunk[promptLength + _matcher.Count - chunkStart]);
    }

    /// <summary>The next chunk begins here: tokens behind are taken back, and those before are not taken back any more.</summary>
    public void GoBackTo(int position)
    {
        if (Problem is not null) return;
        var count = Math.Max(0, position - promptLength);
        if (_matcher.Count > count) _matcher.Truncate(count);
        _matcher.Settle(Math.Min(count, _matcher.Count));
    }

    /// <summary>Sets the bits of the tokens that may come next.</summary>
    /// <param name="mask">[V bits]</param>
    /// <param name="isDraft">The last tokens are guesses, and may be none that the grammar lets through. Then nothing that follows is used, and all ids are allowed.</param>
    public void Mask(Span<ulong> mask, bool isDraft)
    {
        if (Problem is not null) return;
        if (_matcher.IsDead)
        {
            mask.Fill(ulong.MaxValue);
            if (!isDraft) Problem = "the answer so far is not one that its grammar allows";
            return;
        }
        mask.Clear();
        try
        {
            _matcher.Mask(mask);
        }
        catch (GrammarException e)
        {
            Problem = e.Message;
        }
        if (!mask.ContainsAnyExcept(0ul)) Problem ??= "the grammar needs text that the model has no tokens for";
    }
}
