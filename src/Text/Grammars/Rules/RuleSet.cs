using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Rules;

enum StepKind
{
    /// <summary>Reads nothing.</summary>
    Empty,

    /// <summary>Reads what a lexeme recognises.</summary>
    Lexeme,

    /// <summary>Reads what a rule describes.</summary>
    Rule,
}

/// <param name="Index">Number of the lexeme or of the rule.</param>
/// <param name="Target">The node behind it.</param>
readonly record struct RuleStep(StepKind Kind, int Index, int Target);

/// <summary>
/// A grammar as an automaton with a stack: each rule is a network of nodes, whose steps read lexemes or other rules. From every node the end of its rule
/// can be reached. Immutable.
/// </summary>
/// <param name="Root">The rule that a whole answer is.</param>
/// <param name="Starts">By rule, its first node.</param>
/// <param name="Ends">By rule, its last node. No step leads on from it.</param>
/// <param name="Nullable">By rule, whether it may be the empty text.</param>
/// <param name="Steps">By node.</param>
/// <param name="RuleOf">By node, its rule.</param>
/// <param name="ReachesEnd">By node, whether the end of its rule is the only thing that can follow, without reading anything.</param>
sealed record RuleSet(
    int Root, int[] Starts, int[] Ends, bool[] Nullable, RuleStep[][] Steps, int[] RuleOf, bool[] ReachesEnd, IReadOnlyList<Lexeme> Lexemes)
{
    /// <summary>About what it takes; lexemes that all grammars share count too.</summary>
    public long Bytes => (Starts.Length * 9L) + Steps.Sum(steps => 40 + (steps.Length * 12L)) + Lexemes.Sum(lexeme => lexeme.Bytes);
}
