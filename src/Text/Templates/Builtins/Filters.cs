using System.Collections.Frozen;
using System.Globalization;
using LlamaCluster.Primitives;
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

    /// <summary>Applies a filter. A text is paid for once here, as every filter reads it from end to end.</summary>
    public static Value Apply(string name, ValueContext context, Value value, CallArguments arguments)
    {
        if (!ByName.TryGetValue(name, out var filter)) throw new TemplateFault($"no filter named {ErrorText.Quote(name)}");
        if (value is StringValue text) context.Budget.SpendOnText(text.Text.Length);
        return filter(context, value, arguments);
    }
}

/// <summary>An attribute as filters name it, such as <c>"function.name"</c>; a number in the path is an index.</summary>
sealed class AttributePath(IReadOnlyList<Value> parts)
{
    public static AttributePath Of(Value written, Budget budget)
    {
        if (written is not StringValue text) return new([written]);
        budget.SpendOnText(text.Text.Length);
        budget.MakeElements(text.Text.AsSpan().Count('.') + 1);
        return new([.. text.Text.Split('.').Select(Part)]);
    }

    /// <summary>The attribute of an element. Where a part is undefined, <paramref name="fallback"/> takes its place if there is one.</summary>
    public Value Read(Value element, Budget budget, Value? fallback = null)
    {
        foreach (var part in parts)
        {
            budget.Spend(1);
            element = Members.Item(element, part, budget);
            if (element is UndefinedValue && fallback is not null) element = fallback;
        }
        return element;
    }

    static Value Part(string written) =>
        int.TryParse(written, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? new IntegerValue(index) : new StringValue(written);
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
        return Select(context, value, arguments.Skip(1, context.Budget), AttributePath.Of(arguments.Positional[0], context.Budget), keeps);
    }

    /// <summary>
    /// The elements for which a test gives <paramref name="keeps"/>. The first argument names the test; without one, the test is whether the
    /// element counts as true.
    /// </summary>
    static Value Select(ValueContext context, Value value, CallArguments arguments, AttributePath? attribute, bool keeps)
    {
        return new GeneratorValue(value, Selected());

        IEnumerable<Value> Selected()
        {
            if (!value.IsTrue) yield break;
            var test = arguments.Positional.Count > 0 ? Tests.Named(arguments.Positional[0].AsText("select")) : null;
            var further = arguments.Skip(1, context.Budget);
            foreach (var element in context.Elements(value))
            {
                var tested = attribute?.Read(element, context.Budget) ?? element;
                if ((test is not null ? Tests.Holds(test, context, tested, further) : tested.IsTrue) == keeps) yield return element;
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
            var path = AttributePath.Of(bound[0] ?? throw new TemplateFault("map() needs a filter's name or an attribute"), context.Budget);
            var fallback = bound[1] is NoneValue ? null : bound[1];
            return element => path.Read(element, context.Budget, fallback);
        }
        var filter = arguments.Positional[0].AsText("map");
        var further = arguments.Skip(1, context.Budget);
        return element => Filters.Apply(filter, context, element, further);
    }
}
