using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>Filters that keep or change elements one by one, when they are asked for.</summary>
static class SelectionFilters
{
    public static readonly KeyValuePair<string, Filter>[] All =
    [
        new("select", (context, value, arguments) => Select(context, value, arguments, null, keeps: true)),
        new("reject", (context, value, arguments) => Select(context, value, arguments, null, keeps: false)),
        new("selectattr", (context, value, arguments) => SelectByAttribute(context, value, arguments, keeps: true)),
        new("rejectattr", (context, value, arguments) => SelectByAttribute(context, value, arguments, keeps: false)),
        new("map", Map),
    ];

    static Value SelectByAttribute(RenderContext context, Value value, CallArguments arguments, bool keeps)
    {
        if (arguments.Positional.Count == 0) throw new TemplateFault("missing parameter for attribute name");
        return Select(context, value, arguments.Skip(1), AttributePath.Of(arguments.Positional[0]), keeps);
    }

    /// <summary>Elements (or their attribute) for which the test named by the first argument gives <paramref name="keeps"/>; without one, truth.</summary>
    static Value Select(RenderContext context, Value value, CallArguments arguments, AttributePath? attribute, bool keeps)
    {
        return new GeneratorValue(value, Selected());

        IEnumerable<Value> Selected()
        {
            if (!value.IsTrue) yield break;
            var test = arguments.Positional.Count > 0 ? Tests.Get(arguments.Positional[0].AsText("select")) : null;
            var further = arguments.Skip(1);
            foreach (var element in context.Elements(value))
            {
                var tested = attribute?.Read(context, element) ?? element;
                if ((test?.Invoke(context, tested, further) ?? tested.IsTrue) == keeps) yield return element;
            }
        }
    }

    static Value Map(RenderContext context, Value value, CallArguments arguments)
    {
        return new GeneratorValue(value, Mapped());

        IEnumerable<Value> Mapped()
        {
            if (!value.IsTrue) yield break;
            var change = Change(context, arguments);
            foreach (var element in context.Elements(value)) yield return change(element);
        }
    }

    static Func<Value, Value> Change(RenderContext context, CallArguments arguments)
    {
        if (arguments.Positional.Count == 0)
        {
            var bound = arguments.Bind("map", "attribute", "default");
            var path = AttributePath.Of(bound[0] ?? throw new TemplateFault("map() needs a filter's name or an attribute"));
            var fallback = bound[1] is NoneValue ? null : bound[1];
            return element => path.Read(context, element, fallback);
        }
        var filter = Filters.Get(arguments.Positional[0].AsText("map"));
        var further = arguments.Skip(1);
        return element => filter(context, element, further);
    }
}
