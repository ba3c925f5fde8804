using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Nodes;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>One rendering of a template.</summary>
/// <param name="standIns">Letters of the input that stand for others; null: none do.</param>
sealed class GoRendering(ParsedTemplate template, Budget budget, DateTimeOffset now, IReadOnlyDictionary<char, char>? standIns)
{
    /// <summary>Variables of the body that is being rendered. The first one is $.</summary>
    List<object?> _variables = [];

    public Budget Budget { get; } = budget;

    public DateTimeOffset Now { get; } = now;

    public BoundedText Output { get; } = new(budget);

    /// <summary>The place in the template's text that was come to last, for errors.</summary>
    public int At { get; private set; }

    /// <summary>The letter that another one stands for; null: it stands for itself.</summary>
    public char? MeaningOf(char letter) => standIns is not null && standIns.TryGetValue(letter, out var meaning) ? meaning : null;

    /// <summary>Renders a body of its own.</summary>
    public void Execute(IReadOnlyList<GoNode> body, object? dot)
    {
        var outer = _variables;
        _variables = [dot];
        ExecuteAll(body, dot);
        _variables = outer;
    }

    Flow ExecuteAll(IReadOnlyList<GoNode> nodes, object? dot)
    {
        foreach (var node in nodes)
        {
            At = node.At;
            Budget.Enter();
            var flow = Execute(node, dot);
            Budget.Leave();
            if (flow != Flow.Next) return flow;
        }
        return Flow.Next;
    }

    Flow Execute(GoNode node, object? dot)
    {
        switch (node)
        {
            case GoNode.Words words:
                Output.Append(words.Text);
                return Flow.Next;
            case GoNode.Action action:
                var value = Evaluate(action.Pipe, dot);
                if (action.Pipe.Slots.Count == 0) GoPrinter.Print(this, Output, value);
                return Flow.Next;
            case GoNode.LoopExit exit:
                return exit.Continues ? Flow.Continue : Flow.Break;
            case GoNode.Call call:
                Execute(template.Definitions[call.Name], call.Pipe is { } pipe ? Evaluate(pipe, dot) : null);
                return Flow.Next;
            case GoNode.Branch branch:
                var known = _variables.Count;
                var flow = branch.Kind == BranchKind.Range ? Range(branch, dot) : Choose(branch, dot);
                Forget(known);
                return flow;
            default:
                throw new InvalidOperationException($"a template cannot have {node.GetType().Name}");
        }
    }

    Flow Choose(GoNode.Branch branch, object? dot)
    {
        var value = Evaluate(branch.Pipe, dot);
        return GoValue.IsTrue(value) ? ExecuteAll(branch.Body, branch.Kind == BranchKind.With ? value : dot) : ExecuteAll(branch.Otherwise, dot);
    }

    Flow Range(GoNode.Branch branch, object? dot)
    {
        var value = Evaluate(branch.Pipe, dot);
        var rounds = value switch
        {
            null => [],
            GoList list => list.Items.Index().Select(one => ((object?)(long)one.Index, one.Item)),
            GoMap map => map.Entries.Select(entry => ((object?)entry.Key, entry.Value)),
            _ => throw new TemplateFault($"a range cannot go over a value of type {GoValue.TypeOf(value)}"),
        };
        var (isEmpty, known) = (true, _variables.Count);
        foreach (var (key, element) in rounds)
        {
            isEmpty = false;
            Budget.Spend(1);
            if (branch.Pipe.Slots is [.., var last]) _variables[last] = element;
            if (branch.Pipe.Slots is [var first, _]) _variables[first] = key;
            var flow = ExecuteAll(branch.Body, element);
            Forget(known);
            if (flow == Flow.Break) break;
        }
        return isEmpty ? ExecuteAll(branch.Otherwise, dot) : Flow.Next;
    }

    void Forget(int known) => _variables.RemoveRange(known, _variables.Count - known);

    object? Evaluate(Pipeline pipe, object? dot)
    {
        Budget.Enter();
        object? value = null;
        foreach (var (index, command) in pipe.Commands.Index()) value = Evaluate(command, dot, index > 0, value);
        foreach (var slot in pipe.Slots)
        {
            if (pipe.Declares) _variables.Add(value);
            else _variables[slot] = value;
        }
        Budget.Leave();
        return value;
    }

    object? Evaluate(Command command, object? dot, bool isPiped, object? piped)
    {
        At = command.At;
        if (command.Operands[0] is not Operand.Function function) return Evaluate(command.Operands[0], dot);
        var given = command.Operands.Skip(1);
        if (function.Name is "and" or "or") return Decide(function.Name, given, dot, isPiped, piped);
        List<object?> arguments = [.. given.Select(operand => Evaluate(operand, dot))];
        if (isPiped) arguments.Add(piped);
        At = function.At;
        return GoFunctions.Call(function.Name, arguments, this);
    }

    /// <summary>The first argument that decides, or the last. Those behind it are not evaluated.</summary>
    object? Decide(string name, IEnumerable<Operand> given, object? dot, bool isPiped, object? piped)
    {
        object? value = null;
        var isAny = false;
        foreach (var operand in given)
        {
            (value, isAny) = (Evaluate(operand, dot), true);
            if (GoValue.IsTrue(value) == name is "or") return value;
        }
        return isPiped ? piped : isAny ? value : throw new TemplateFault($"'{name}' wants at least one argument");
    }

    object? Evaluate(Operand operand, object? dot)
    {
        At = operand.At;
        Budget.Spend(1);
        return operand switch
        {
            Operand.Constant constant => constant.Value,
            Operand.Dot field => Follow(dot, field.Path),
            Operand.Variable variable => Follow(_variables[variable.Slot], variable.Path),
            Operand.Nested nested => Follow(Evaluate(nested.Pipe, dot), nested.Path),
            Operand.Function function => GoFunctions.Call(function.Name, [], this),
            _ => throw new InvalidOperationException($"an operand cannot be {operand.GetType().Name}"),
        };
    }

    object? Follow(object? value, IReadOnlyList<string> path)
    {
        foreach (var name in path)
        {
            Budget.Spend(1);
            value = value switch
            {
                GoMap map => map.Find(name),
                GoStruct one when one.TryFind(name, out var field) => field.Value,
                null => throw new TemplateFault($"there is no value that could have a field {ErrorText.Quote(name)}"),
                _ => throw new TemplateFault($"a value of type {GoValue.TypeOf(value)} has no field {ErrorText.Quote(name)}"),
            };
        }
        return value;
    }
}
