namespace LlamaCluster.Text.GoTemplates;

/// <summary>A part of a template.</summary>
/// <param name="At">Where it begins: an index of the template's text.</param>
abstract record GoNode(int At)
{
    public sealed record Words(int At, string Text) : GoNode(At);

    /// <summary>Prints a pipeline's value, unless it sets variables.</summary>
    public sealed record Action(int At, Pipeline Pipe) : GoNode(At);

    public sealed record Branch(int At, BranchKind Kind, Pipeline Pipe, IReadOnlyList<GoNode> Body, IReadOnlyList<GoNode> Otherwise) : GoNode(At);

    public sealed record LoopExit(int At, bool Continues) : GoNode(At);

    /// <param name="Pipe">What is the dot there; null: nothing is.</param>
    public sealed record Call(int At, string Name, Pipeline? Pipe) : GoNode(At);
}

enum BranchKind
{
    If,
    With,
    Range,
}

/// <summary>Commands, each of which gets the value of the one before it as its last argument.</summary>
/// <param name="Slots">Places of the variables that it sets: none, one, or two of a range.</param>
/// <param name="Declares">The variables are new.</param>
sealed record Pipeline(int At, IReadOnlyList<int> Slots, bool Declares, IReadOnlyList<Command> Commands);

/// <summary>A function with its arguments, or one operand.</summary>
sealed record Command(int At, IReadOnlyList<Operand> Operands);

abstract record Operand(int At)
{
    public sealed record Constant(int At, object? Value) : Operand(At);

    public sealed record Function(int At, string Name) : Operand(At);

    /// <summary>The dot, or fields of it.</summary>
    public sealed record Dot(int At, IReadOnlyList<string> Path) : Operand(At);

    /// <param name="Slot">The variable's place. The first one is $.</param>
    public sealed record Variable(int At, int Slot, IReadOnlyList<string> Path) : Operand(At);

    public sealed record Nested(int At, Pipeline Pipe, IReadOnlyList<string> Path) : Operand(At);
}

/// <summary>A template as it was read.</summary>
/// <param name="Definitions">Bodies by name. The template itself has the empty name.</param>
/// <param name="Fields">Names of all fields that it looks at, in small letters.</param>
sealed record ParsedTemplate(IReadOnlyDictionary<string, IReadOnlyList<GoNode>> Definitions, IReadOnlySet<string> Fields)
{
    public const string Main = "";
}
