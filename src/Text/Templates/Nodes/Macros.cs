using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Nodes;

/// <summary><c>macro name(parameters)</c> ... <c>endmacro</c>.</summary>
sealed class MacroStatement(int line, MacroDefinition definition) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        context.Scope.Set(definition.Name, new MacroValue(definition, context.Scope, context));
        return Flow.Next;
    }
}

/// <summary><c>call(parameters) macro(arguments)</c> ... <c>endcall</c>: the macro gets the body as <c>caller</c>.</summary>
sealed class CallBlockStatement(int line, CallExpression call, MacroDefinition caller) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        call.CallWith(context, new MacroValue(caller, context.Scope, context)).WriteText(context.Output);
        return Flow.Next;
    }
}

/// <summary>A macro as it is written.</summary>
/// <param name="Line">Line on which the macro starts.</param>
/// <param name="Name">Its name; "caller" for the body of a call block.</param>
/// <param name="Parameters">Its parameters in order; those with a default come last.</param>
/// <param name="NamesInBody">Every name that the body mentions. A macro that mentions varargs, kwargs or caller takes further arguments.</param>
/// <param name="Body">What a call renders.</param>
sealed record MacroDefinition(
    int Line, string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, IReadOnlySet<string> NamesInBody, Body Body)
{
    /// <summary>Sets the parameters in the scope of one call.</summary>
    public void Bind(RenderContext context, Scope scope, CallArguments arguments)
    {
        var named = new Dictionary<string, Value>(arguments.Named);
        for (var i = 0; i < Parameters.Count; i++)
        {
            var (name, fallback) = Parameters[i];
            if (i < arguments.Positional.Count) scope.Set(name, arguments.Positional[i]);
            else if (named.Remove(name, out var value)) scope.Set(name, value);
            else scope.Set(name, fallback is null ? new UndefinedValue($"parameter '{name}' was not provided") : context.EvaluateIn(scope, fallback));
        }
        BindRest(context.Budget, scope, arguments.Positional, named);
    }

    void BindRest(Budget budget, Scope scope, IReadOnlyList<Value> positional, Dictionary<string, Value> named)
    {
        if (NamesInBody.Contains("caller") && Parameters.All(parameter => parameter.Name != "caller"))
            scope.Set("caller", named.Remove("caller", out var caller) ? caller : new UndefinedValue("No caller defined"));
        if (NamesInBody.Contains("kwargs"))
            scope.Set("kwargs", new DictionaryValue(named.Select(pair => KeyValuePair.Create<Value, Value>(new StringValue(pair.Key), pair.Value)), budget));
        else if (named.Count > 0)
            throw new TemplateFault($"macro '{Name}' takes no keyword argument {ErrorText.Quote(named.Keys.First())}");
        if (NamesInBody.Contains("varargs"))
        {
            budget.MakeElements(positional.Count);
            scope.Set("varargs", new TupleValue([.. positional.Skip(Parameters.Count)]));
        }
        else if (positional.Count > Parameters.Count)
            throw new TemplateFault($"macro '{Name}' takes not more than {Parameters.Count} argument(s)");
    }
}

/// <summary>A macro, or the body of a call block (<c>caller</c>), with the scope and the rendering in which it was defined.</summary>
sealed class MacroValue(MacroDefinition definition, Scope definedIn, RenderContext rendering) : Value
{
    public override string TypeName => "Macro";

    public override bool IsCallable => true;

    public override Value? GetAttribute(string name) => name switch
    {
        "name" => new StringValue(definition.Name),
        "arguments" => new TupleValue([.. definition.Parameters.Select(parameter => new StringValue(parameter.Name))]),
        _ => null,
    };

    public override Value Call(ValueContext context, CallArguments arguments)
    {
        rendering.Enter(definition.Line);
        var scope = new Scope(definedIn);
        definition.Bind(rendering, scope, arguments);
        var text = rendering.Capture(scope, definition.Body);
        rendering.Leave();
        return text;
    }

    public override void WriteRepr(BoundedText output) => output.Append("<Macro ").Append(definition.Name).Append('>');
}
