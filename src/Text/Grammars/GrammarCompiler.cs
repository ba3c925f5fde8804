namespace LlamaCluster.Text.Grammars;

/// <summary>Why a grammar cannot be enforced.</summary>
/// <param name="Path">Where in the source: a JSON pointer such as "/properties/name"; "" for the source as a whole.</param>
/// <param name="Reason">One sentence that names the keyword, construct or limit, without a full stop.</param>
public sealed record GrammarRefusal(string Path, string Reason)
{
    /// <summary>"/properties/name: 'uniqueItems' cannot be enforced"</summary>
    public override string ToString() => Path.Length == 0 ? Reason : $"{Path}: {Reason}";
}

/// <summary>A compiled grammar, or why there is none: exactly one of them is not null.</summary>
public sealed record GrammarCompilation(Grammar? Grammar, GrammarRefusal? Refusal);

/// <summary>A grammar that can be enforced.</summary>
public sealed class Grammar;

/// <summary>Compiles what clients ask for. Pure, and safe for concurrent use.</summary>
public static class GrammarCompiler
{
    /// <summary>Bounded by <see cref="GrammarLimits"/>: takes milliseconds as a rule, and never more than about a second.</summary>
    public static GrammarCompilation Compile(GrammarSource source) => new(null, new GrammarRefusal("", $"{source.Kind} grammars are not supported yet"));
}
