namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>A set of Unicode code points, surrogates never among them. Immutable.</summary>
sealed class CodePoints
{
    const int Most = 0x10FFFF;
    const int FirstSurrogate = 0xD800;
    const int LastSurrogate = 0xDFFF;

    readonly (int First, int Last)[] _ranges;

    CodePoints((int First, int Last)[] ranges) => _ranges = ranges;

    public static CodePoints None { get; } = new([]);

    public static CodePoints All { get; } = new([(0, FirstSurrogate - 1), (LastSurrogate + 1, Most)]);

    /// <summary>Ranges in order, with gaps between them.</summary>
    public ReadOnlySpan<(int First, int Last)> Ranges => _ranges;

    public bool IsEmpty => _ranges.Length == 0;

    public static CodePoints Of(int codePoint) => Range(codePoint, codePoint);

    public static CodePoints Range(int first, int last) => OfRanges([(first, last)]);

    public static CodePoints OfText(string characters) => OfRanges([.. characters.EnumerateRunes().Select(rune => (rune.Value, rune.Value))]);

    /// <param name="ranges">In any order; they may overlap.</param>
    public static CodePoints OfRanges(IEnumerable<(int First, int Last)> ranges)
    {
        var merged = new List<(int First, int Last)>();
        foreach (var (first, last) in ranges.SelectMany(WithoutSurrogates).Order())
        {
            if (merged.Count > 0 && first <= merged[^1].Last + 1) merged[^1] = (merged[^1].First, Math.Max(merged[^1].Last, last));
            else merged.Add((first, last));
        }
        return new([.. merged]);
    }

    public CodePoints Complement()
    {
        var gaps = new List<(int, int)>();
        var next = 0;
        foreach (var (first, last) in _ranges)
        {
            if (first > next) gaps.Add((next, first - 1));
            next = last + 1;
        }
        if (next <= Most) gaps.Add((next, Most));
        return OfRanges(gaps);
    }

    static IEnumerable<(int First, int Last)> WithoutSurrogates((int First, int Last) range)
    {
        if (range.First < FirstSurrogate && range.First <= range.Last) yield return (range.First, Math.Min(range.Last, FirstSurrogate - 1));
        if (range.Last > LastSurrogate) yield return (Math.Max(range.First, LastSurrogate + 1), Math.Min(range.Last, Most));
    }
}

/// <summary>
/// Divides the code points into classes: those of one class are in the same ones of some sets, so that an automaton need not tell them apart.
/// </summary>
sealed class CodePointClasses
{
    readonly int[] _starts;
    readonly int[] _classes;

    CodePointClasses(int[] starts, int[] classes, int count) => (_starts, _classes, Count) = (starts, classes, count);

    public int Count { get; }

    /// <summary>How many intervals there are, one after the other from 0 to U+10FFFF.</summary>
    public int Intervals => _starts.Length;

    public int StartOf(int interval) => _starts[interval];

    public int ClassOfInterval(int interval) => _classes[interval];

    /// <param name="sets">Each becomes a union of classes.</param>
    /// <param name="members">Gets the classes of each set, in order.</param>
    public static CodePointClasses Of(IReadOnlyList<CodePoints> sets, WorkBudget budget, out int[][] members)
    {
        var changes = new SortedDictionary<int, List<int>> { [0] = [] };
        for (var set = 0; set < sets.Count; set++)
            foreach (var (first, last) in sets[set].Ranges)
            {
                Change(changes, first, set);
                Change(changes, last + 1, set);
            }
        budget.Spend(changes.Count * 500L);
        var inside = new SortedSet<int>();
        var known = new Dictionary<string, int>();
        var (starts, classes) = (new List<int>(), new List<int>());
        var ofSets = sets.Select(_ => new HashSet<int>()).ToArray();
        foreach (var (start, toggled) in changes)
        {
            foreach (var set in toggled)
                if (!inside.Remove(set)) inside.Add(set);
            budget.Spend(100 + (inside.Count * 50L));
            var key = string.Join(',', inside);
            if (!known.TryGetValue(key, out var found)) known.Add(key, found = known.Count);
            foreach (var set in inside) ofSets[set].Add(found);
            starts.Add(start);
            classes.Add(found);
        }
        members = [.. ofSets.Select(set => set.ToArray())];
        return new([.. starts], [.. classes], known.Count);
    }

    /// <summary>The classes of two divisions at once.</summary>
    /// <param name="pairs">Gets, for each class, the class of either division.</param>
    public static CodePointClasses Of(CodePointClasses left, CodePointClasses right, out (int Left, int Right)[] pairs)
    {
        var known = new Dictionary<(int, int), int>();
        var (starts, classes) = (new List<int>(), new List<int>());
        for (var (l, r) = (0, 0); l < left.Intervals && r < right.Intervals;)
        {
            var pair = (left._classes[l], right._classes[r]);
            if (!known.TryGetValue(pair, out var found)) known.Add(pair, found = known.Count);
            starts.Add(Math.Max(left._starts[l], right._starts[r]));
            classes.Add(found);
            var (leftEnd, rightEnd) = (left.EndOf(l), right.EndOf(r));
            if (leftEnd <= rightEnd) l++;
            if (rightEnd <= leftEnd) r++;
        }
        pairs = [.. known.OrderBy(pair => pair.Value).Select(pair => pair.Key)];
        return new([.. starts], [.. classes], known.Count);
    }

    /// <summary>The class of a code point.</summary>
    public int ClassOf(int codePoint)
    {
        var found = Array.BinarySearch(_starts, codePoint);
        return _classes[found >= 0 ? found : ~found - 1];
    }

    int EndOf(int interval) => interval + 1 < _starts.Length ? _starts[interval + 1] : int.MaxValue;

    static void Change(SortedDictionary<int, List<int>> changes, int at, int set)
    {
        if (!changes.TryGetValue(at, out var toggled)) changes.Add(at, toggled = []);
        toggled.Add(set);
    }
}
