namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>Counts what a rendering uses and stops it at its limits.</summary>
sealed class Budget(TemplateLimits limits, long inputCharacters)
{
    readonly long _characterLimit = limits.Characters + inputCharacters * limits.CharactersPerInputCharacter;
    long _steps;
    long _characters;
    int _depth;

    /// <summary>A node starts; <see cref="Leave"/> when it is done. A fault ends the rendering, so it need not leave.</summary>
    public void Enter()
    {
        Spend(1);
        if (++_depth > limits.Depth) throw new TemplateFault($"nested deeper than {limits.Depth} levels (a macro that calls itself for ever?)");
    }

    public void Leave() => _depth--;

    /// <summary>Work that grows with data: elements visited or copied.</summary>
    public void Spend(long steps)
    {
        if ((_steps += steps) > limits.Steps) throw new TemplateFault($"needs more than {limits.Steps:N0} steps");
    }

    /// <summary>Work on text that makes no text, such as a search.</summary>
    public void SpendOnText(int characters) => Spend(characters >> 6);

    /// <summary>Text is about to be made.</summary>
    public void MakeText(long characters)
    {
        if ((_characters += characters) > _characterLimit) throw new TemplateFault($"makes more than {_characterLimit:N0} characters of text");
    }
}
