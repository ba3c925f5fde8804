namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>What a grammar may take. A source beyond one of these is refused with the limit's name before the work is done.</summary>
public static class GrammarLimits
{
    /// <summary>Characters of a source.</summary>
    public const int SourceLength = 512 * 1024;

    /// <summary>How deep schemas, groups of an expression, and references that are read in place may be nested.</summary>
    public const int Depth = 128;

    /// <summary>Characters of a JSON pointer to a schema.</summary>
    internal const int PathLength = 4_000;

    /// <summary>Quantifiers behind one item, each of which repeats what stands before it.</summary>
    public const int Quantifiers = 4;

    /// <summary>Values of one "enum" or texts of one choice.</summary>
    public const int Choices = 20_000;

    /// <summary>Repetitions that a bound of an expression may name, and elements that "minItems" and "maxItems" may.</summary>
    public const int Repetitions = 10_000;

    /// <summary>States of a nondeterministic automaton for one expression.</summary>
    internal const int ExpressionStates = 200_000;

    /// <summary>States of a deterministic automaton, of which an expression can need exponentially many.</summary>
    internal const int States = 20_000;

    /// <summary>Nodes of all rules together.</summary>
    internal const int RuleNodes = 200_000;

    /// <summary>Work for one grammar, in about nanoseconds.</summary>
    internal const long Work = 600_000_000;

    /// <summary>Memory that compiling one grammar may ask for, in about MiB.</summary>
    public const int Memory = 256;

    /// <summary>Ways that an answer so far can be read, of a grammar that is ambiguous.</summary>
    internal const int Readings = 20_000;
}

/// <summary>What a source asks for cannot be enforced. Only <c>GrammarCompiler</c> catches it, and makes a refusal of it.</summary>
/// <param name="path">Where in the source; null where whoever knows the place has to add it.</param>
sealed class GrammarException(string reason, string? path = null) : Exception(reason)
{
    public string? Path => path;

    public static GrammarException Limit(string what, long limit) => new($"{what}; the most is {limit}");
}

/// <summary>
/// Counts the work for one grammar and the memory that it asks for, so that a source that takes too much of either is refused in time. Both are reckoned from
/// what is done, not measured: whether a grammar compiles must not depend on the machine, since the coordinator and all workers compile it.
/// </summary>
sealed class WorkBudget
{
    long _work = GrammarLimits.Work;
    long _bytes = GrammarLimits.Memory * 1024L * 1024;

    public bool HasLeft => _work >= 0 && _bytes >= 0;

    /// <exception cref="GrammarException">The work is more than one grammar may take.</exception>
    public void Spend(long nanoseconds)
    {
        if ((_work -= nanoseconds) < 0)
            throw new GrammarException("the grammar takes too much work to compile: it is too large, or an expression in it needs too many states");
    }

    /// <summary>What is left of the memory, in bytes. Set back where all that was asked for since is out of reach.</summary>
    public long BytesLeft
    {
        get => _bytes;
        set => _bytes = value;
    }

    /// <summary>Before memory is asked for.</summary>
    /// <exception cref="GrammarException">The memory is more than one grammar may take.</exception>
    public void Allocate(long bytes)
    {
        if ((_bytes -= bytes) < 0)
            throw new GrammarException($"the grammar takes too much memory to compile; the most is {GrammarLimits.Memory} MiB");
    }
}
