using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Rules;

namespace LlamaCluster.Text.Grammars.Matching;

/// <summary>
/// Follows one answer by its grammar, token by token, and says which tokens may come next. Tokens can be taken back as far as they are not settled.
/// Needs the answer's tokens only: after a preemption or on another worker it comes to the same state from them. Not thread-safe; matchers
/// that share a cache have one caller at a time.
/// </summary>
sealed class GrammarMatcher
{
    /// <summary>Masks of lexemes that are put together for one mask.</summary>
    const int MostParts = 200_000;

    /// <summary>Nodes of the vocabulary's trie that may be walked for one mask, about a tenth of a second.</summary>
    const long MostWalked = 20_000_000;

    readonly MaskCache _cache;
    readonly ReadingSteps _steps;
    readonly List<Readings> _readings = [];
    readonly List<List<Reading>> _behind = [];
    int _settled;
    int _parts;
    long _walkedBefore;

    public GrammarMatcher(RuleSet rules, MaskCache cache)
    {
        (_cache, _steps) = (cache, new ReadingSteps(rules));
        _readings.Add(_steps.Begin());
    }

    /// <summary>Tokens that were taken.</summary>
    public int Count => _settled + _readings.Count - 1;

    /// <summary>The tokens so far are none that the grammar lets through, or have ended the answer.</summary>
    public bool IsDead => _readings[^1].IsDead;

    /// <summary>The answer may end here.</summary>
    public bool MayEnd => _readings[^1].MayEnd;

    /// <exception cref="GrammarException">The grammar is too ambiguous for this answer.</exception>
    public void Add(int id) =>
        _readings.Add(IsDead || _cache.Vocabulary.EndIds.Contains(id) ? Readings.None : _steps.Advance(_readings[^1], _cache.Vocabulary.TextOf(id)));

    /// <summary>Takes back all tokens but so many.</summary>
    public void Truncate(int count) => _readings.RemoveRange(count - _settled + 1, Count - count);

    /// <summary>Tokens before this one are not taken back any more.</summary>
    public void Settle(int count)
    {
        if (count <= _settled) return;
        _readings.RemoveRange(0, count - _settled);
        _settled = count;
    }

    /// <summary>Sets the bits of the tokens that may come next.</summary>
    /// <param name="mask">[V bits], all 0.</param>
    /// <exception cref="GrammarException">The grammar is too ambiguous for this answer.</exception>
    public void Mask(Span<ulong> mask)
    {
        (_parts, _walkedBefore) = (0, _cache.Walked);
        var readings = _readings[^1];
        foreach (var reading in readings.Open) Add(_cache.All, reading, mask, depth: 0);
        if (!readings.MayEnd) return;
        foreach (var id in _cache.Vocabulary.EndIds) mask[id >> 6] |= 1UL << id;
    }

    /// <summary>Adds the tokens of a trie that a reading lets through: those of its lexeme, and of what may come behind that.</summary>
    void Add(MaskCache.Trie trie, in Reading reading, Span<ulong> mask, int depth)
    {
        if (++_parts > MostParts) throw GrammarException.Limit("the grammar is too ambiguous: there are too many ways to read the next token", MostParts);
        if (_cache.Walked - _walkedBefore > MostWalked) throw new GrammarException("the grammar has too many expressions that the next token may belong to");
        var found = _cache.Of(trie, _steps.LexemeOf(reading), reading.State);
        found.AddTo(mask);
        if (found.Rests.Length == 0) return;
        if (_behind.Count == depth) _behind.Add([]);
        var behind = _behind[depth];
        behind.Clear();
        _steps.Behind(reading, behind);
        foreach (var rest in found.Rests)
            foreach (var next in behind) Add(rest, next, mask, depth + 1);
    }
}
