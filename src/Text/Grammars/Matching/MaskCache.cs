using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Matching;

/// <summary>
/// What tokens a lexeme in some state lets through, whatever stands around it. Found by one walk over a trie, and kept.
/// </summary>
/// <param name="Dense">[V bits] tokens that end within the lexeme or where it ends; null where there are few.</param>
/// <param name="Sparse">The same as ids, where there are few.</param>
/// <param name="Rest">What is left of tokens that reach beyond the lexeme; null where there are none. The grammar says whether it may follow.</param>
sealed record LexemeMask(ulong[]? Dense, int[] Sparse, MaskCache.Trie? Rest)
{
    public void AddTo(Span<ulong> mask)
    {
        if (Dense is not null) GrammarVocabulary.Or(Dense, mask);
        foreach (var id in Sparse) mask[id >> 6] |= 1UL << id;
    }
}

/// <summary>
/// The masks of lexemes for one vocabulary. They do not depend on the grammar, so strings and numbers of all schemas share theirs. One caller at a time.
/// </summary>
sealed class MaskCache
{
    /// <summary>Bytes of masks that are kept. When there are more, all are forgotten and made anew.</summary>
    const long MostBytes = 64 << 20;

    readonly GrammarVocabulary _vocabulary;
    readonly int _longest;
    readonly ulong[] _found;
    readonly List<int> _ids = [];
    readonly List<int> _ends = [];
    readonly int[] _states;
    long _bytes;

    public MaskCache(GrammarVocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _longest = vocabulary.All.Depth;
        _found = new ulong[vocabulary.Words];
        _states = new int[_longest + 1];
        All = new Trie(vocabulary.All);
        _notPlain = new Trie(vocabulary.NotPlain);
    }

    readonly Trie _notPlain;

    /// <summary>Nodes of tries that walks have looked at, for whoever bounds the work for one mask.</summary>
    public long Walked { get; private set; }

    /// <summary>All tokens of the vocabulary.</summary>
    public Trie All { get; private set; }

    public GrammarVocabulary Vocabulary => _vocabulary;

    /// <summary>The tokens of a trie that may follow in a lexeme's state.</summary>
    public LexemeMask Of(Trie trie, Lexeme lexeme, int state)
    {
        var key = lexeme.MaskKey(state, _longest);
        if (trie.Masks.TryGetValue(key, out var known)) return known;
        if (_bytes > MostBytes) Forget();
        var made = Make(trie, lexeme, state);
        _bytes += 100 + ((made.Dense?.LongLength ?? 0) * sizeof(ulong)) + (made.Sparse.LongLength * sizeof(int)) + (made.Rest?.Tokens.Bytes ?? 0);
        trie.Masks[key] = made;
        return made;
    }

    void Forget()
    {
        All = new Trie(_vocabulary.All);
        _bytes = 0;
    }

    LexemeMask Make(Trie trie, Lexeme lexeme, int state)
    {
        _ids.Clear();
        _ends.Clear();
        if (trie == All && lexeme.PlainCharacters(state) is { } characters)
        {
            Walk(_notPlain.Tokens, lexeme, state);
            return Finish(_notPlain.Tokens, _vocabulary.PlainUpTo(characters));
        }
        Walk(trie.Tokens, lexeme, state);
        return Finish(trie.Tokens, []);
    }

    /// <summary>Finds the tokens that the lexeme takes to their end, and the nodes where it ends itself while tokens go on.</summary>
    void Walk(TokenTrie trie, Lexeme lexeme, int state)
    {
        var nodes = trie.Nodes;
        _states[0] = state;
        for (var i = 0; i < nodes.Length;)
        {
            Walked++;
            ref readonly var node = ref nodes[i];
            var next = lexeme.Next(_states[node.Depth - 1], node.Value);
            if (next < 0)
            {
                i = node.Next;
                continue;
            }
            _states[node.Depth] = next;
            foreach (var id in trie.IdsAt(i)) _ids.Add(id);
            if (node.Next > i + 1 && lexeme.IsFinal(next)) _ends.Add(i);
            i++;
        }
    }

    LexemeMask Finish(TokenTrie trie, ReadOnlySpan<ulong> plain)
    {
        foreach (var id in _ids) _found[id >> 6] |= 1UL << id;
        // A token that the lexeme takes to its end needs no other way.
        var rest = _ends.Count == 0 ? null : TokenTrie.Below(trie, _ends, id => (_found[id >> 6] >> id & 1) == 0);
        ulong[]? dense = null;
        if (!plain.IsEmpty || _ids.Count > _vocabulary.Words)
        {
            dense = (ulong[])_found.Clone();
            if (!plain.IsEmpty) GrammarVocabulary.Or(plain, dense);
        }
        foreach (var id in _ids) _found[id >> 6] = 0;
        return new LexemeMask(dense, dense is null ? [.. _ids] : [], rest is { TokenCount: > 0 } ? new Trie(rest) : null);
    }

    /// <summary>A trie and the masks that were found in it.</summary>
    public sealed class Trie(TokenTrie tokens)
    {
        public TokenTrie Tokens => tokens;

        public Dictionary<LexemeKey, LexemeMask> Masks { get; } = [];
    }
}
