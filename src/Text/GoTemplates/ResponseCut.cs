namespace LlamaCluster.Text.GoTemplates;

/// <summary>The beginning of a template, up to the first action that prints .Response: what follows it would come after the model's answer.</summary>
static class ResponseCut
{
    /// <summary>What stands at the end of a template that does not say where the answer goes.</summary>
    public static GoNode Node { get; } = new GoNode.Action(0, new Pipeline(0, [], Declares: false, [new Command(0, [new Operand.Dot(0, ["Response"])])]));

    public static IReadOnlyList<GoNode> Apply(IReadOnlyList<GoNode> body)
    {
        var isCut = false;
        return Apply(body, ref isCut);
    }

    static List<GoNode> Apply(IReadOnlyList<GoNode> body, ref bool isCut)
    {
        var kept = new List<GoNode>();
        foreach (var node in body)
        {
            if (isCut) break;
            if (node is GoNode.Branch branch)
            {
                var inner = Apply(branch.Body, ref isCut);
                kept.Add(branch with { Body = inner, Otherwise = Apply(branch.Otherwise, ref isCut) });
                continue;
            }
            kept.Add(node);
            isCut = node is GoNode.Action action && Prints(action.Pipe);
        }
        return kept;
    }

    static bool Prints(Pipeline pipe) => pipe.Commands.Any(command => command.Operands.Any(operand => operand switch
    {
        Operand.Dot dot => dot.Path.Contains("Response"),
        Operand.Nested nested => Prints(nested.Pipe),
        _ => false,
    }));
}
