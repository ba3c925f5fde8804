namespace LlamaCluster.Text.Grammars;

/// <summary>What a grammar may take. A source beyond one of these is refused with the limit's name before the work is done.</summary>
public static class GrammarLimits
{
    /// <summary>Characters of a source.</summary>
    public const int SourceLength = 512 * 1024;

    /// <summary>How deep schemas, groups of an expression, and references that are read in place may be nested.</summary>
    public const int Depth = 128;
}
