using System.Text;

namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>What one rendering may use. A template comes with a downloaded model and runs for every request, so it is not trusted.</summary>
sealed record TemplateLimits
{
    /// <summary>Nodes evaluated plus elements and characters touched; 64 characters count as one step.</summary>
    public long Steps { get; init; } = 5_000_000;

    /// <summary>Characters of text touched that are allowed beyond <see cref="Steps"/> for each character of the input.</summary>
    public int TouchesPerInputCharacter { get; init; } = 8;

    /// <summary>
    /// Characters of all text made during the rendering, including the result. An element of a list counts as <see cref="Budget.ElementCharacters"/>.
    /// </summary>
    public long Characters { get; init; } = 16 << 20;

    /// <summary>Further characters allowed for each character of the input, because templates trim, join and copy long messages.</summary>
    public int CharactersPerInputCharacter { get; init; } = 8;

    /// <summary>How long a rendering may take by the clock, for a machine so busy that the limit on steps would take too long.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Nesting of nodes while rendering, including macro calls.</summary>
    public int Depth { get; init; } = 1000;

    /// <summary>Nesting of lists and mappings in a value that a template builds.</summary>
    public const int ValueDepth = 200;

    /// <summary>Nesting of brackets and blocks in a template's source.</summary>
    public const int SourceDepth = 100;

    /// <summary>Characters of a template's source.</summary>
    public const int SourceLength = 1 << 20;

    /// <summary>Elements of a range, as in Jinja2's sandbox.</summary>
    public const int RangeLength = 100_000;
}

/// <summary>Stops the parsing or rendering of a template. The chat template turns it into its public exception and adds the line.</summary>
sealed class TemplateFault(string reason, int? line = null, bool raisedByTemplate = false) : Exception(reason)
{
    /// <summary>The line, if it is known better than from the node being rendered.</summary>
    public int? Line { get; } = line;

    public bool RaisedByTemplate { get; } = raisedByTemplate;
}

/// <summary>
/// Counts what a rendering uses and stops it at its limits. Whatever works on text or elements pays for it here before it allocates or loops.
/// The count is also the clock by which a rendering looks whether its time is over or nobody waits for it any more.
/// </summary>
sealed class Budget
{
    /// <summary>What an element of a list or mapping takes in memory with its value, in characters.</summary>
    public const int ElementCharacters = 64;

    // Work is counted in characters touched.
    const int StepWork = 64;
    const int LetterWork = 4;
    const long WorkBetweenLooks = 4096 * StepWork;

    readonly TemplateLimits _limits;
    readonly long _characterLimit;
    readonly long _workLimit;
    readonly TimeProvider _time;
    readonly long _started;
    readonly CancellationToken _cancellation;
    long _work;
    long _nextLook = WorkBetweenLooks;
    long _characters;
    int _depth;

    public Budget(TemplateLimits limits, long inputCharacters, TimeProvider? time = null, CancellationToken cancellation = default)
    {
        _limits = limits;
        _characterLimit = limits.Characters + inputCharacters * limits.CharactersPerInputCharacter;
        _workLimit = limits.Steps * StepWork + inputCharacters * limits.TouchesPerInputCharacter;
        _time = time ?? TimeProvider.System;
        _started = _time.GetTimestamp();
        _cancellation = cancellation;
    }

    /// <summary>Steps counted so far.</summary>
    public long StepsUsed => _work / StepWork;

    /// <summary>Call when a node starts, and <see cref="Leave"/> when it is done. After a fault nobody need leave, because the rendering ends.</summary>
    public void Enter()
    {
        Work(StepWork);
        if (++_depth > _limits.Depth) throw new TemplateFault($"nested deeper than {_limits.Depth} levels (a macro that calls itself for ever?)");
    }

    public void Leave() => _depth--;

    /// <summary>Counts work that grows with the data: elements visited or copied.</summary>
    public void Spend(long steps) => Work(steps is >= 0 and <= long.MaxValue / StepWork ? steps * StepWork : long.MaxValue);

    /// <summary>Counts work on text that makes no new text, such as a search.</summary>
    public void SpendOnText(long characters) => Work(characters);

    /// <summary>Counts work that looks at each letter for itself, which takes longer.</summary>
    public void SpendOnLetters(long letters) => Work(letters * LetterWork);

    /// <summary>Call before making text.</summary>
    public void MakeText(long characters)
    {
        Keep(characters);
        Work(characters);
    }

    /// <summary>Call before making a list or mapping of so many elements, or before adding them to one.</summary>
    public void MakeElements(long count)
    {
        Spend(count);
        Keep(count * ElementCharacters);
    }

    void Work(long work)
    {
        if (work < 0 || work > _workLimit - _work) throw new TemplateFault($"needs more than {_workLimit / StepWork:N0} steps");
        _work += work;
        if (_work >= _nextLook) Look();
    }

    void Keep(long characters)
    {
        // A negative number is one that overflowed.
        if (characters < 0 || characters > _characterLimit - _characters)
            throw new TemplateFault($"makes more than {_characterLimit:N0} characters of text, where each element of a list counts as {ElementCharacters}");
        _characters += characters;
    }

    void Look()
    {
        _nextLook = _work + WorkBetweenLooks;
        _cancellation.ThrowIfCancellationRequested();
        if (_time.GetElapsedTime(_started) > _limits.Time) throw new TemplateFault($"takes longer than {_limits.Time.TotalSeconds:N0} seconds");
    }
}

/// <summary>Text under construction. The budget bounds its growth.</summary>
sealed class BoundedText(Budget budget)
{
    readonly StringBuilder _text = new();

    public BoundedText Append(ReadOnlySpan<char> text)
    {
        budget.MakeText(text.Length);
        _text.Append(text);
        return this;
    }

    public BoundedText Append(char character)
    {
        budget.MakeText(1);
        _text.Append(character);
        return this;
    }

    public BoundedText Append(char character, int count)
    {
        budget.MakeText(count);
        _text.Append(character, count);
        return this;
    }

    public override string ToString() => _text.ToString();
}
