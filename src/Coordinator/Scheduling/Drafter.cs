using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text.Grammars.Drafting;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>What a draft was made by. Labels of metrics are made of their names.</summary>
public enum DraftSource
{
    /// <summary>What the answer's grammar leaves no choice about.</summary>
    Grammar,

    /// <summary>What followed the last tokens where they stood before.</summary>
    Ngram,

    /// <summary>A draft model.</summary>
    Model,
}

/// <summary>
/// Guesses how a sequence goes on, by what its grammar forces or else from its own tokens, or with what a draft model has guessed, and learns how often
/// the guess is right. A guess changes only the time that a text takes: the step that verifies it samples each token as it would have without the guess, and
/// goes on for as long as both are the same.
/// </summary>
/// <param name="forced">Follows the form that the answer must have; null: there is none.</param>
sealed class Drafter(ForcedText? forced = null)
{
    /// <summary>The most tokens that are guessed from those before.</summary>
    const int MostLookedUp = 7;

    /// <summary>Tokens that a form is followed by for one draft. After a preemption it is taken up again over several steps.</summary>
    const int FollowedAtOnce = 256;

    /// <summary>Tokens indexed for one draft. A long prompt is indexed over several steps, so that it does not hold one up.</summary>
    const int IndexedAtOnce = 2048;

    readonly NGramIndex _index = new();
    readonly AcceptanceRate _acceptance = new(0.5);
    readonly AcceptanceRate _forcedAcceptance = new(0.9);

    /// <summary>Of the last draft.</summary>
    public DraftSource Source { get; private set; } = DraftSource.Ngram;

    /// <summary>What the draft model has guessed; null: nothing.</summary>
    public DraftAnswer? Given { get; set; }

    /// <summary>How many of the sequence's tokens the draft model was told.</summary>
    public int Told { get; set; }

    /// <summary>How often the draft model is right; null: it has not been asked.</summary>
    public AcceptanceRate? ModelAcceptance { get; set; }

    /// <summary>What the sequence waits for, or waited for last.</summary>
    public DraftRound? Round { get; set; }

    /// <summary>
    /// Whether there can be drafts: where tokens are drawn by chance, what came before says little of those, but a form does, and a model that draws by the
    /// same chance.
    /// </summary>
    public bool CanDraft(bool isGreedy) => isGreedy || forced is not null || Given is not null;

    /// <param name="tokens">All that are known.</param>
    /// <param name="rows">Rows of the step without the draft.</param>
    /// <param name="most">Tokens wanted.</param>
    /// <param name="isGreedy">No token is drawn by chance.</param>
    /// <returns>The guessed tokens that are worth their cost; may be empty.</returns>
    public int[] Draft(TokenHistory tokens, long rows, int most, bool isGreedy = true)
    {
        if (forced is not null && Force(forced, tokens, rows, most) is { Length: > 0 } draft)
        {
            (Source, Given) = (DraftSource.Grammar, null);
            return draft;
        }
        if (TakeGiven(tokens, most) is { Length: > 0 } given)
        {
            Source = DraftSource.Model;
            return given;
        }
        Source = DraftSource.Ngram;
        return isGreedy ? LookUp(tokens, rows, Math.Min(most, MostLookedUp)) : [];
    }

    /// <summary>Whether there is a guess that needs no draft model, and that is at least as likely to be right.</summary>
    /// <param name="tokens">All that are known.</param>
    /// <param name="isGreedy">No token is drawn by chance.</param>
    public bool HasOwn(TokenHistory tokens, bool isGreedy)
    {
        if (forced is not null && TryFollow(forced, tokens) && forced.Next().Length > 0) return true;
        return isGreedy && _acceptance.Value >= (ModelAcceptance?.Value ?? 0) && _index.Extend(tokens, IndexedAtOnce) && _index.Find(tokens) is not null;
    }

    /// <summary>The step has returned that verified a draft.</summary>
    public void Verified(int drafted, int accepted) => RateOf(Source).Verified(drafted, accepted);

    AcceptanceRate RateOf(DraftSource source) => source switch
    {
        DraftSource.Grammar => _forcedAcceptance,
        DraftSource.Model => ModelAcceptance!,
        _ => _acceptance,
    };

    /// <summary>What the draft model has guessed and is not known yet, if what is known is as it guessed.</summary>
    int[] TakeGiven(TokenHistory tokens, int most)
    {
        if (Given is not var (_, position, guessed) || position > tokens.Count) return [];
        Given = null;
        var known = tokens.Count - position;
        if (known >= guessed.Length) return [];
        for (var i = 0; i < known; i++)
            if (tokens[position + i] != guessed[i]) return [];
        return guessed[known..Math.Min(guessed.Length, known + most)];
    }

    static bool TryFollow(ForcedText text, TokenHistory tokens)
    {
        var answered = tokens.Count - tokens.PromptLength;
        for (var i = 0; i < FollowedAtOnce && text.Count < answered; i++) text.Add(tokens[tokens.PromptLength + text.Count]);
        return text.Count == answered;
    }

    int[] Force(ForcedText text, TokenHistory tokens, long rows, int most)
    {
        var count = DraftLength.Worth(_forcedAcceptance.Value, rows, most);
        if (count == 0 && DraftLength.Worth(1, rows, most) == 0) return [];
        if (!TryFollow(text, tokens) || text.Next() is not { Length: > 0 } next) return [];
        if (count == 0) _forcedAcceptance.Recover();
        return next.Length <= count ? next : next[..count];
    }

    int[] LookUp(TokenHistory tokens, long rows, int most)
    {
        var count = DraftLength.Worth(_acceptance.Value, rows, most);
        // If even a sure guess is not worth its cost, nothing needs to be looked up.
        if (count == 0 && DraftLength.Worth(1, rows, most) == 0) return [];
        if (!_index.Extend(tokens, IndexedAtOnce) || _index.Find(tokens) is not { } next) return [];
        if (count == 0) _acceptance.Recover();
        var draft = new int[count];
        for (var i = 0; i < count; i++, next++) draft[i] = next < tokens.Count ? tokens[next] : draft[next - tokens.Count];
        return draft;
    }
}

/// <summary>
/// The probability that a sequence's next drafted token is the one that will be sampled. It is learnt from the drafts before: a moving mean
/// over the last that were looked at. A rate so low that nothing is drafted any more comes back slowly, so that drafting is tried again.
/// </summary>
/// <param name="first">What it is before anything was learnt.</param>
/// <param name="weight">Of the last token that was looked at.</param>
sealed class AcceptanceRate(double first, double weight = 1.0 / 8)
{
    readonly double _first = first;
    const double Recovery = 1.0 / 64;

    public double Value { get; private set; } = first;

    /// <summary>Drafts were verified: all that were accepted, and the first that was not, have been looked at.</summary>
    public void Verified(int drafted, int accepted)
    {
        for (var i = 0; i < accepted; i++) Value += (1 - Value) * weight;
        if (accepted < drafted) Value -= Value * weight;
    }

    /// <summary>There was something to draft, but it did not seem worth it.</summary>
    public void Recover() => Value = Math.Max(Value, Value + (_first - Value) * Recovery);
}
