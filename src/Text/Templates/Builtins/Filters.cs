using System.Collections.Frozen;
using System.Globalization;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>A filter: turns the value before the bar into another value.</summary>
delegate Value Filter(ValueContext context, Value value, CallArguments arguments);

/// <summary>The filters by name: those of Jinja2 except the ones for HTML and random choice, and <c>tojson</c> as transformers defines it.</summary>
static class Filters
{
    static readonly FrozenDictionary<string, Filter> ByName = new Dictionary<string, Filter>(
        [.. TextFilters.All, .. SequenceFilters.All, .. SelectionFilters.All, .. OrderFilters.All, .. NumberFilters.All]).ToFrozenDictionary();

    public static bool Exists(string name) => ByName.ContainsKey(name);

    public static Filter Get(string name) => ByName.TryGetValue(name, out var filter) ? filter : throw new TemplateFault($"no filter named '{name}'");
}

/// <summary>An attribute as filters name it, such as <c>"function.name"</c>; a number in the path is an index.</summary>
sealed class AttributePath(IReadOnlyList<Value> parts)
{
    public static AttributePath Of(Value written) => new(written is not StringValue text ? [written]
        : [.. text.Text.Split('.').Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? (Value)new IntegerValue(index) : new StringValue(part))]);

    /// <summary>The attribute of an element. Where a part is undefined, <paramref name="fallback"/> takes its place if there is one.</summary>
    public Value Read(Value element, Value? fallback = null)
    {
        foreach (var part in parts)
        {
            element = Members.Item(element, part);
            if (element is UndefinedValue && fallback is not null) element = fallback;
        }
        return element;
    }
}

/// <summary>Filters that keep or change elements one by one, as the elements are asked for.</summary>
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

    static Value SelectByAttribute(ValueContext context, Value value, CallArguments arguments, bool keeps)
    {
        if (arguments.Positional.Count == 0) throw new TemplateFault("missing parameter for attribute name");
        return Select(context, value, arguments.Skip(1), AttributePath.Of(arguments.Positional[0]), keeps);
    }

    /// <summary>The elements for which a test gives <paramref name="keeps"/>. The first argument names the test; without one, it is whether the element is true.</summary>
    static Value Select(ValueContext context, Value value, CallArguments arguments, AttributePath? attribute, bool keeps)
    {
        return new GeneratorValue(value, Selected());

        IEnumerable<Value> Selected()
        {
            if (!value.IsTrue) yield break;
            var test = arguments.Positional.Count > 0 ? Tests.Get(arguments.Positional[0].AsText("select")) : null;
            var further = arguments.Skip(1);
            foreach (var element in context.Elements(value))
            {
                var tested = attribute?.Read(element) ?? element;
                if ((test?.Invoke(context, tested, further) ?? tested.IsTrue) == keeps) yield return element;
            }
        }
    }

    static Value Map(ValueContext context, Value value, CallArguments arguments)
    {
        return new GeneratorValue(value, Mapped());

        IEnumerable<Value> Mapped()
        {
            if (!value.IsTrue) yield break;
            var change = Change(context, arguments);
            foreach (var element in context.Elements(value)) yield return change(element);
        }
    }

    static Func<Value, Value> Change(ValueContext context, CallArguments arguments)
    {
        if (arguments.Positional.Count == 0)
        {
            var bound = arguments.Bind("map", "attribute", "default");
            var path = AttributePath.Of(bound[0] ?? throw new TemplateFault("map() needs a filter's name or an attribute"));
            var fallback = bound[1] is NoneValue ? null : bound[1];
            return element => path.Read(element, fallback);
        }
        var filter = Filters.Get(arguments.Positional[0].AsText("map"));
        var further = arguments.Skip(1);
        return element => filter(context, element, further);
    }
}
