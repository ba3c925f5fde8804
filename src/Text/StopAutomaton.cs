namespace LlamaCluster.Text;

/// <summary>
/// The states that reading text one character at a time goes through to find any of several strings: a trie of the strings
/// (state 0 is its root) in which a character that does not fit leads to the longest end of what was read that does.
/// </summary>
sealed class StopAutomaton
{
    public const int Start = 0;

    readonly Dictionary<(int State, char Next), int> _children = [];
    readonly List<int> _depths = [0];
    readonly List<int> _fallbacks = [Start];
    readonly List<string?> _stops = [null];

    public StopAutomaton(IEnumerable<string> stops)
    {
        foreach (var stop in stops) Add(stop);
        SetFallbacks();
    }

    /// <summary>How many of the last characters read are the start of some string.</summary>
    public int Depth(int state) => _depths[state];

    /// <summary>The longest string that ends with the last character read.</summary>
    public string? StopAt(int state) => _stops[state];

    public int Next(int state, char character)
    {
        while (true)
        {
            if (_children.TryGetValue((state, character), out var child)) return child;
            if (state == Start) return Start;
            state = _fallbacks[state];
        }
    }

    void Add(string stop)
    {
        var state = Start;
        foreach (var character in stop)
        {
            if (!_children.TryGetValue((state, character), out var child))
            {
                child = _depths.Count;
                _children.Add((state, character), child);
                _depths.Add(_depths[state] + 1);
                _fallbacks.Add(Start);
                _stops.Add(null);
            }
            state = child;
        }
        _stops[state] = stop;
    }

    // A state's fallback is shallower, so by depth each is ready before it is used.
    void SetFallbacks()
    {
        foreach (var ((parent, character), child) in _children.OrderBy(edge => _depths[edge.Value]))
        {
            if (parent != Start) _fallbacks[child] = Next(_fallbacks[parent], character);
            _stops[child] ??= _stops[_fallbacks[child]];
        }
    }
}
