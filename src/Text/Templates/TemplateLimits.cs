namespace LlamaCluster.Text.Templates;

/// <summary>What one rendering may use. A template comes with a model from somewhere and is run for every request, so it is not trusted.</summary>
sealed record TemplateLimits
{
    /// <summary>Nodes evaluated plus elements and characters touched (64 characters to a step).</summary>
    public long Steps { get; init; } = 5_000_000;

    /// <summary>Characters of all the text that is made on the way, the result among it.</summary>
    public long Characters { get; init; } = 64 << 20;

    /// <summary>Characters allowed on top for each character of the input: templates trim, join and copy long messages.</summary>
    public int CharactersPerInputCharacter { get; init; } = 8;

    /// <summary>Nodes within nodes while rendering, calls of macros included.</summary>
    public int Depth { get; init; } = 1000;

    /// <summary>Lists within lists of a value that a template builds.</summary>
    public const int ValueDepth = 200;

    /// <summary>Brackets within brackets and blocks within blocks of a template's source.</summary>
    public const int SourceDepth = 100;

    /// <summary>Characters of a template's source.</summary>
    public const int SourceLength = 1 << 20;

    /// <summary>Elements of a range, as in Jinja2's sandbox.</summary>
    public const int RangeLength = 100_000;
}
