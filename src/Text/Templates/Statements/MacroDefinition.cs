using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary>A macro as it is written.</summary>
/// <param name="Line">Where it starts.</param>
/// <param name="Name">Its name; "caller" for the body of a call block.</param>
/// <param name="Parameters">Its parameters in order; those with a default come last.</param>
/// <param name="NamesInBody">Every name its body mentions: a macro takes further arguments if it mentions varargs, kwargs or caller.</param>
/// <param name="Body">What it renders.</param>
sealed record MacroDefinition(
    int Line, string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, IReadOnlySet<string> NamesInBody, Body Body)
{
    /// <summary>Sets the parameters in the scope of a call.</summary>
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
        BindRest(scope, arguments.Positional, named);
    }

    void BindRest(Scope scope, IReadOnlyList<Value> positional, Dictionary<string, Value> named)
    {
        if (NamesInBody.Contains("caller") && Parameters.All(parameter => parameter.Name != "caller"))
            scope.Set("caller", named.Remove("caller", out var caller) ? caller : new UndefinedValue("No caller defined"));
        if (NamesInBody.Contains("kwargs"))
            scope.Set("kwargs", new DictionaryValue(named.Select(pair => KeyValuePair.Create<Value, Value>(new StringValue(pair.Key), pair.Value))));
        else if (named.Count > 0)
            throw new TemplateFault($"macro '{Name}' takes no keyword argument '{named.Keys.First()}'");
        if (NamesInBody.Contains("varargs"))
            scope.Set("varargs", new TupleValue([.. positional.Skip(Parameters.Count)]));
        else if (positional.Count > Parameters.Count)
            throw new TemplateFault($"macro '{Name}' takes not more than {Parameters.Count} argument(s)");
    }
}
