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

    /// <summary>How many tokens there were before a guess that could not be followed; null while there is none.</summary>
    int? _lastFollowed;

    /// <summary>Tokens of the answer that were taken.</summary>
    public int Count => _matcher.Count;

    /// <summary>Why the grammar cannot be followed any more, in one line; null while it can.</summary>
    public string? Problem { get; private set; }

    /// <summary>Takes a token that is the answer's.</summary>
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

    /// <summary>Goes to where the tokens before a position are known: takes tokens back, or takes those of a chunk, as far as they can be followed.</summary>
    /// <param name="chunkStart">Position of the chunk's first token.</param>
    /// <param name="drafts">So many of the chunk's last tokens are guesses. One that cannot be followed is no problem of the answer.</param>
    /// <returns>False if a guess cannot be followed within the limits.</returns>
    public bool TryGoTo(int position, ReadOnlySpan<int> chunk, int chunkStart, int drafts)
    {
        var count = Math.Max(0, position - promptLength);
        if (_matcher.Count > count) _matcher.Truncate(count);
        while (_matcher.Count < count && Problem is null)
        {
            var next = promptLength + _matcher.Count - chunkStart;
            if (next < chunk.Length - drafts) Add(chunk[next]);
            else if (_matcher.Count == _lastFollowed || !TryAddDraft(chunk[next])) return false;
        }
        return true;
    }

    /// <summary>The next chunk begins here: tokens behind are taken back, and those before are not taken back any more.</summary>
    public void GoBackTo(int position)
    {
        if (Problem is not null) return;
        var count = Math.Max(0, position - promptLength);
        if (_matcher.Count > count) _matcher.Truncate(count);
        _matcher.Settle(Math.Min(count, _matcher.Count));
        _lastFollowed = null;
    }

    /// <summary>Sets the bits of the tokens that may come next.</summary>
    /// <param name="mask">[V bits]</param>
    /// <param name="isDraft">
    /// The last tokens are guesses, and may be none that the grammar lets through. Then nothing that follows is used, and all ids are allowed.
    /// </param>
    /// <returns>False if that cannot be said behind a guess, since it would take too much work or there is no such token.</returns>
    public bool TryMask(Span<ulong> mask, bool isDraft)
    {
        if (Problem is not null) return true;
        if (_matcher.IsDead)
        {
            mask.Fill(ulong.MaxValue);
            if (!isDraft) Problem = "the answer so far is not one that its grammar allows";
            return true;
        }
        mask.Clear();
        var problem = "the grammar needs text that the model has no tokens for";
        try
        {
            _matcher.Mask(mask);
            if (mask.ContainsAnyExcept(0ul)) return true;
        }
        catch (GrammarException e)
        {
            problem = e.Message;
        }
        if (!isDraft) Problem = problem;
        return !isDraft;
    }

    bool TryAddDraft(int token)
    {
        try
        {
            _matcher.Add(token);
            return true;
        }
        catch (GrammarException)
        {
            _lastFollowed = _matcher.Count;   // the rows behind need not try again
            return false;
        }
    }
}
