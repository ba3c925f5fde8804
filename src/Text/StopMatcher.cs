using System.Text;

namespace LlamaCluster.Text;

/// <summary>What <see cref="StopMatcher"/> makes of a piece of text.</summary>
/// <param name="Text">May be given to the user now: no stop string starts in it.</param>
/// <param name="Stop">The stop string that was hit; the generation ends here. Null if none was.</param>
public readonly record struct StopMatch(string Text, string? Stop);

/// <summary>
/// Finds stop strings in text that comes in pieces, wherever the pieces' borders are. Text that may turn out to be the start of a
/// stop string is held back until it is known. The string that is complete first wins, of those that end at one place the
/// longest: the result does not depend on how the text is cut. Comparison is by UTF-16 code unit. Each character costs O(1),
/// however many strings there are (Aho and Corasick, https://doi.org/10.1145/360825.360855). Not thread-safe; for one generation.
/// </summary>
public sealed class StopMatcher
{
    readonly StopAutomaton _automaton;
    readonly bool _includeStop;
    readonly StringBuilder _held = new();
    int _state = StopAutomaton.Start;

    /// <param name="stops">Non-empty, well-formed strings; there may be none.</param>
    /// <param name="includeStop">Give the stop string itself as text too.</param>
    /// <exception cref="ArgumentException">A stop string is empty or has half a surrogate pair.</exception>
    public StopMatcher(IReadOnlyList<string> stops, bool includeStop = false)
    {
        foreach (var stop in stops)
            if (!IsUsable(stop)) throw new ArgumentException("A stop string is empty or not well-formed Unicode.", nameof(stops));
        _automaton = new StopAutomaton(stops);
        _includeStop = includeStop;
    }

    /// <summary>Takes the next piece. After a match nothing more may be appended.</summary>
    public StopMatch Append(string piece)
    {
        for (var at = 0; at < piece.Length; at++)
        {
            _state = _automaton.Next(_state, piece[at]);
            if (_automaton.StopAt(_state) is not { } stop) continue;
            _held.Append(piece, 0, at + 1);
            return new StopMatch(_held.ToString(0, _includeStop ? _held.Length : _held.Length - stop.Length), stop);
        }
        // The state's depth is the length of the longest end of the text that a stop string starts with.
        var hold = _automaton.Depth(_state);
        if (hold == 0 && _held.Length == 0) return new StopMatch(piece, null);
        _held.Append(piece);
        var safe = _held.ToString(0, _held.Length - hold);
        _held.Remove(0, safe.Length);
        return new StopMatch(safe, null);
    }

    /// <summary>The text held back, when no more comes.</summary>
    public string Flush()
    {
        var text = _held.ToString();
        _held.Clear();
        _state = StopAutomaton.Start;
        return text;
    }

    static bool IsUsable(string stop)
    {
        for (var at = 0; at < stop.Length; at++)
        {
            if (!char.IsSurrogate(stop[at])) continue;
            if (at + 1 == stop.Length || !char.IsSurrogatePair(stop[at], stop[at + 1])) return false;
            at++;
        }
        return stop.Length > 0;
    }
}

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
