using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Matching;

/// <summary>
/// What tokens a lexeme in some state lets through, whatever stands around it. Found by one walk over a trie, and kept.
/// </summary>
/// <param name="Dense">[V bits] tokens that end within the lexeme or where it ends; null where there are few.</param>
/// <param name="Sparse">The same as ids, where there are few.</param>
/// <param name="Rests">What is left of tokens that reach beyond the lexeme. The grammar says whether it may follow.</param>
sealed record LexemeMask(ulong[]? Dense, int[] Sparse, MaskCache.Trie[] Rests)
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

    /// <summary>
    /// What is below a node with so many nodes is a trie of its own, which all states share that end there. Most tokens are words behind a space, and there
    /// are as many states of white space as it may be long.
    /// </summary>
    const int Large = 250;

    readonly GrammarVocabulary _vocabulary;
    readonly int _longest;
    readonly ulong[] _found;
    readonly List<int> _ids = [];
    readonly List<int> _ends = [];
    readonly int[] _states;
    Trie _notPlain;
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
        _bytes += 100 + ((made.Dense?.LongLength ?? 0) * sizeof(ulong)) + (made.Sparse.LongLength * sizeof(int)) + (made.Rests.LongLength * IntPtr.Size);
        trie.Masks[key] = made;
        return made;
    }

    void Forget()
    {
        (All, _notPlain) = (new Trie(_vocabulary.All), new Trie(_vocabulary.NotPlain));
        _bytes = 0;
    }

    LexemeMask Make(Trie trie, Lexeme lexeme, int state)
    {
        _ids.Clear();
        _ends.Clear();
        if (trie == All && lexeme.PlainCharacters(state) is { } characters)
        {
            Walk(_notPlain.Tokens, lexeme, state);
            return Finish(_notPlain, _vocabulary.PlainUpTo(characters));
        }
        Walk(trie.Tokens, lexeme, state);
        return Finish(trie, []);
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

    LexemeMask Finish(Trie trie, ReadOnlySpan<ulong> plain)
    {
        foreach (var id in _ids) _found[id >> 6] |= 1UL << id;
        var rests = RestsOf(trie);
        ulong[]? dense = null;
        if (!plain.IsEmpty || _ids.Count > _vocabulary.Words)
        {
            dense = (ulong[])_found.Clone();
            if (!plain.IsEmpty) GrammarVocabulary.Or(plain, dense);
        }
        foreach (var id in _ids) _found[id >> 6] = 0;
        return new LexemeMask(dense, dense is null ? [.. _ids] : [], rests);
    }

    /// <summary>What is below the nodes where the lexeme ends.</summary>
    Trie[] RestsOf(Trie trie)
    {
        _ends.RemoveAll(node => !IsAnyMissing(trie.Tokens.IdsBelow(node)));
        if (_ends.Count == 0) return [];
        var rests = new List<Trie>();
        foreach (var node in _ends)
            if (IsLarge(trie, node)) rests.Add(Below(trie, node));
        _ends.RemoveAll(node => IsLarge(trie, node));
        var small = TokenTrie.Below(trie.Tokens, _ends, IsMissing);
        _bytes += small.Bytes;
        if (small.TokenCount > 0) rests.Add(new Trie(small));
        return [.. rests];
    }

    bool IsAnyMissing(ReadOnlySpan<int> ids)
    {
        foreach (var id in ids)
            if (IsMissing(id)) return true;
        return false;
    }

    /// <summary>A token that the lexeme takes to its end needs no other way.</summary>
    bool IsMissing(int id) => (_found[id >> 6] >> id & 1) == 0;

    static bool IsLarge(Trie trie, int node) => trie.Tokens.Nodes[node].Next - node > Large;

    Trie Below(Trie trie, int node)
    {
        if (trie.Below.TryGetValue(node, out var known)) return known;
        var made = trie.Below[node] = new Trie(trie.Tokens.Below(node));
        _bytes += made.Tokens.Bytes;
        return made;
    }

    /// <summary>A trie and the masks that were found in it.</summary>
    public sealed class Trie(TokenTrie tokens)
    {
        public TokenTrie Tokens => tokens;

        public Dictionary<LexemeKey, LexemeMask> Masks { get; } = [];

        /// <summary>What is below nodes of it.</summary>
        public Dictionary<int, Trie> Below { get; } = [];
    }
}
