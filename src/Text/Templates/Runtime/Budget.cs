using System.Text;

namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>What one rendering may use. A template comes with a downloaded model and runs for every request, so it is not trusted.</summary>
sealed record TemplateLimits
{
    /// <summary>Nodes evaluated plus elements and characters touched; 64 characters count as one step.</summary>
    public long Steps { get; init; } = 5_000_000;

    /// <summary>Characters of all text made during the rendering, including the result.</summary>
    public long Characters { get; init; } = 64 << 20;

    /// <summary>Further characters allowed for each character of the input, because templates trim, join and copy long messages.</summary>
    public int CharactersPerInputCharacter { get; init; } = 8;

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

/// <summary>Counts what a rendering uses and stops it at its limits.</summary>
sealed class Budget(TemplateLimits limits, long inputCharacters)
{
    readonly long _characterLimit = limits.Characters + inputCharacters * limits.CharactersPerInputCharacter;
    long _steps;
    long _characters;
    int _depth;

    /// <summary>Call when a node starts, and <see cref="Leave"/> when it is done. After a fault nobody need leave, because the rendering ends.</summary>
    public void Enter()
    {
        Spend(1);
        if (++_depth > limits.Depth) throw new TemplateFault($"nested deeper than {limits.Depth} levels (a macro that calls itself for ever?)");
    }

    public void Leave() => _depth--;

    /// <summary>Counts work that grows with the data: elements visited or copied.</summary>
    public void Spend(long steps)
    {
        if ((_steps += steps) > limits.Steps) throw new TemplateFault($"needs more than {limits.Steps:N0} steps");
    }

    /// <summary>Counts work on text that makes no new text, such as a search.</summary>
    public void SpendOnText(int characters) => Spend(characters >> 6);

    /// <summary>Call before making text.</summary>
    public void MakeText(long characters)
    {
        if ((_characters += characters) > _characterLimit) throw new TemplateFault($"makes more than {_characterLimit:N0} characters of text");
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
