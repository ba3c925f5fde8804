namespace LlamaCluster.Text.Grammars.Drafting;

/// <summary>White space between two parts of JSON.</summary>
/// <param name="BreaksLine">It has a line feed. Then only what stands behind the last one counts.</param>
/// <param name="Count">How many characters.</param>
/// <param name="Character">Space or tab.</param>
readonly record struct JsonSpace(bool BreaksLine, int Count, byte Character)
{
    public static bool IsSpace(byte value) => value is (byte)' ' or (byte)'\n' or (byte)'\t';

    public JsonSpace Then(byte value) => value == '\n' ? new(true, 0, Character) : this with { Count = Count + 1, Character = value };
}

/// <summary>Where white space may stand in JSON.</summary>
enum SpaceKind
{
    /// <summary>Where there is none as a rule: before a colon or a comma, and in what has no elements.</summary>
    Other,

    AfterColon,
    AfterComma,
    AfterOpen,
    BeforeClose,
}

/// <summary>Where a text stands as JSON: within a string or between parts, and in how many objects and arrays. Other texts do no harm.</summary>
struct JsonPlace
{
    const int MostLevels = 64;

    ulong _arrays;   // by level, whether it is an array
    byte _last;
    bool _isEscaped;

    /// <summary>Within a string white space is text.</summary>
    public bool IsInString { get; private set; }

    /// <summary>Objects and arrays that are open.</summary>
    public int Depth { get; private set; }

    /// <summary>White space since the last part.</summary>
    public JsonSpace Space { get; private set; }

    public readonly bool IsInArray => Depth is > 0 and <= MostLevels && (_arrays >> (Depth - 1) & 1) == 1;

    /// <param name="next">The byte of the next part; -1: it is not known.</param>
    public readonly SpaceKind KindBefore(int next) => (char)_last switch
    {
        ':' => SpaceKind.AfterColon,
        ',' => SpaceKind.AfterComma,
        '{' or '[' => IsClose(next) ? SpaceKind.Other : SpaceKind.AfterOpen,
        _ => IsClose(next) ? SpaceKind.BeforeClose : SpaceKind.Other,
    };

    public void Add(byte value)
    {
        if (IsInString)
        {
            IsInString = _isEscaped || value != '"';
            _isEscaped = !_isEscaped && value == '\\';
            return;
        }
        if (JsonSpace.IsSpace(value))
        {
            Space = Space.Then(value);
            return;
        }
        (Space, _last) = (default, value);
        IsInString = value == '"';
        if (value is (byte)'{' or (byte)'[') Open(isArray: value == '[');
        else if (IsClose(value) && Depth > 0) Depth--;
    }

    void Open(bool isArray)
    {
        if (Depth < MostLevels) _arrays = (_arrays & ~(1UL << Depth)) | (isArray ? 1UL << Depth : 0);
        Depth++;
    }

    static bool IsClose(int value) => value is '}' or ']';
}

/// <summary>
/// The white space that an answer's author likes: what stood at places of the same kind before, with line feeds indented by how deep they are. Before
/// anything is known, a space behind colons and commas.
/// </summary>
sealed class SpaceHabits
{
    const int Kinds = 5;

    static readonly JsonSpace One = new(false, 1, (byte)' ');

    readonly JsonSpace?[] _known = new JsonSpace?[2 * Kinds];   // of line feeds: indented for one level
    int _indent = 2;

    /// <summary>Takes note of the white space before a byte that is the next one of the answer.</summary>
    public void Learn(in JsonPlace place, byte next)
    {
        if (place.IsInString || JsonSpace.IsSpace(next)) return;
        var kind = place.KindBefore(next);
        if (kind is SpaceKind.Other) return;
        var levels = LevelsOf(place, kind);
        if (place.Space.BreaksLine && levels > 0) _indent = place.Space.Count / levels;
        _known[IndexOf(place, kind)] = place.Space;
    }

    /// <summary>The next byte of white space that is to be expected; -1: none.</summary>
    /// <param name="next">The byte of the part that comes then; -1: it is not known.</param>
    public int Next(in JsonPlace place, int next)
    {
        if (place.IsInString) return -1;
        var kind = place.KindBefore(next);
        var (expected, so) = (Expected(place, kind), place.Space);
        if (expected.BreaksLine && !so.BreaksLine) return '\n';
        var wanted = expected.BreaksLine ? _indent * LevelsOf(place, kind) : expected.Count;
        return so.BreaksLine == expected.BreaksLine && so.Count < wanted ? expected.Character == 0 ? ' ' : expected.Character : -1;
    }

    JsonSpace Expected(in JsonPlace place, SpaceKind kind)
    {
        if (_known[IndexOf(place, kind)] is { } known) return known;
        // Who begins a line for the first element does so for the others.
        if (kind is SpaceKind.AfterComma or SpaceKind.BeforeClose && _known[IndexOf(place, SpaceKind.AfterOpen)] is { BreaksLine: true } first) return first;
        // And who writes no space behind a colon writes none behind a comma.
        return kind is SpaceKind.AfterColon or SpaceKind.AfterComma ? _known[(int)SpaceKind.AfterColon] ?? One : default;
    }

    static int LevelsOf(in JsonPlace place, SpaceKind kind) => kind is SpaceKind.BeforeClose ? place.Depth - 1 : place.Depth;

    static int IndexOf(in JsonPlace place, SpaceKind kind) => (int)kind + (place.IsInArray ? Kinds : 0);
}
