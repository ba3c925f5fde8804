namespace LlamaCluster.Text.Grammars.Automata;

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
        var starts = StartsOf(sets, budget);
        budget.Spend(starts.Length * 20L);
        budget.Allocate(starts.Length * 12L);
        var division = new Division(starts.Length);
        var spans = new List<(int First, int End)>();
        foreach (var set in sets) division.Split(SpansOf(set, starts, spans, budget));
        var classes = division.Numbered();
        members = new int[sets.Count][];
        for (var set = 0; set < sets.Count; set++)
        {
            members[set] = division.Within(SpansOf(sets[set], starts, spans, budget));
            budget.Allocate(members[set].Length * sizeof(int));
        }
        return new(starts, classes, division.Count);
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
        pairs = new (int, int)[known.Count];
        foreach (var (pair, number) in known) pairs[number] = pair;
        return new([.. starts], [.. classes], known.Count);
    }

    /// <summary>The class of a code point.</summary>
    public int ClassOf(int codePoint) => _classes[IntervalOf(codePoint)];

    /// <summary>The interval that a code point is in.</summary>
    public int IntervalOf(int codePoint)
    {
        var found = Array.BinarySearch(_starts, codePoint);
        return found >= 0 ? found : ~found - 1;
    }

    int EndOf(int interval) => interval + 1 < _starts.Length ? _starts[interval + 1] : int.MaxValue;

    /// <summary>Where one of the sets begins or ends.</summary>
    static int[] StartsOf(IReadOnlyList<CodePoints> sets, WorkBudget budget)
    {
        var changes = new List<int> { 0 };
        foreach (var set in sets)
        {
            budget.Spend(100 + (set.Ranges.Length * 200L));
            budget.Allocate(set.Ranges.Length * 24L);
            foreach (var (first, last) in set.Ranges)
            {
                changes.Add(first);
                if (last < 0x10FFFF) changes.Add(last + 1);
            }
        }
        changes.Sort();
        var starts = new List<int>(changes.Count);
        foreach (var change in changes)
            if (starts.Count == 0 || starts[^1] != change) starts.Add(change);
        return [.. starts];
    }

    /// <summary>The intervals that a set has, from the first to before the end.</summary>
    static List<(int First, int End)> SpansOf(CodePoints set, int[] starts, List<(int First, int End)> spans, WorkBudget budget)
    {
        spans.Clear();
        budget.Spend(set.Ranges.Length * 50L);
        foreach (var (first, last) in set.Ranges)
        {
            var (begin, behind) = (Array.BinarySearch(starts, first), last < 0x10FFFF ? Array.BinarySearch(starts, last + 1) : starts.Length);
            spans.Add((begin, behind));
            budget.Spend((behind - begin) * 5L);
        }
        return spans;
    }

    /// <summary>Intervals, all in one class at first. Each set divides the classes that are partly in it.</summary>
    sealed class Division(int intervals)
    {
        readonly int[] _classes = new int[intervals];
        readonly List<int> _sizes = [intervals];
        readonly List<int> _inside = [0];
        readonly List<int> _parted = [-1];
        readonly List<int> _touched = [];

        public int Count => _sizes.Count;

        public void Split(List<(int First, int End)> set)
        {
            foreach (var (first, end) in set)
                for (var interval = first; interval < end; interval++)
                    if (_inside[_classes[interval]]++ == 0) _touched.Add(_classes[interval]);
            foreach (var old in _touched)
            {
                if (_inside[old] == _sizes[old]) continue;
                _parted[old] = _sizes.Count;
                _sizes.Add(_inside[old]);
                _sizes[old] -= _inside[old];
                _inside.Add(0);
                _parted.Add(-1);
            }
            foreach (var (first, end) in set)
                for (var interval = first; interval < end; interval++)
                    if (_parted[_classes[interval]] is >= 0 and var parted) _classes[interval] = parted;
            foreach (var old in _touched) (_inside[old], _parted[old]) = (0, -1);
            _touched.Clear();
        }

        /// <summary>By interval, its class, in the order of their first intervals.</summary>
        public int[] Numbered()
        {
            var (numbers, next) = (_inside, 0);
            for (var c = 0; c < numbers.Count; c++) numbers[c] = -1;
            for (var interval = 0; interval < _classes.Length; interval++)
            {
                if (numbers[_classes[interval]] < 0) numbers[_classes[interval]] = next++;
                _classes[interval] = numbers[_classes[interval]];
            }
            return _classes;
        }

        /// <summary>The classes of a set, after they were numbered.</summary>
        public int[] Within(List<(int First, int End)> set)
        {
            foreach (var (first, end) in set)
                for (var interval = first; interval < end; interval++)
                    if (_parted[_classes[interval]] < 0)
                    {
                        _parted[_classes[interval]] = 0;
                        _touched.Add(_classes[interval]);
                    }
            int[] within = [.. _touched];
            foreach (var c in within) _parted[c] = -1;
            _touched.Clear();
            return within;
        }
    }
}
