using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>Filters that compare elements. By default text is compared in lower case. Where an attribute is named, it is compared instead.</summary>
static class OrderFilters
{
    public static readonly KeyValuePair<string, Filter>[] All =
    [
        new("sort", Sort),
        new("dictsort", DictionarySort),
        new("unique", Unique),
        new("min", (context, value, arguments) => Extreme(context, value, arguments, "min", sign: 1)),
        new("max", (context, value, arguments) => Extreme(context, value, arguments, "max", sign: -1)),
        new("groupby", GroupBy),
    ];

    static Value Sort(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("sort", "reverse", "case_sensitive", "attribute");
        // Several attributes are separated by commas; the first one has precedence.
        var keys = bound[2] is StringValue names ? KeysOf(context, bound[1], names.Text) : [Key(context, bound[1], bound[2])];
        return context.ListOf(Sorted(context, context.Elements(value), keys, bound[0]?.IsTrue ?? false));
    }

    static List<Func<Value, Value>> KeysOf(ValueContext context, Value? caseSensitive, string names)
    {
        context.Budget.SpendOnText(names.Length);
        context.Budget.MakeElements(names.AsSpan().Count(',') + 1);
        return [.. names.Split(',').Select(name => Key(context, caseSensitive, new StringValue(name)))];
    }

    static Value DictionarySort(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("dictsort", "case_sensitive", "by", "reverse");
        var by = bound[1] is null ? "key" : bound[1]!.AsText("dictsort");
        if (by is not ("key" or "value")) throw new TemplateFault("dictsort() sorts by 'key' or 'value'");
        if (value is not DictionaryValue dictionary) throw new TemplateFault($"dictsort() wants a mapping, not '{value.TypeName}'");
        var key = Key(context, bound[0], new IntegerValue(by == "key" ? 0 : 1));
        return context.ListOf(Sorted(context, dictionary.Items(), [key], bound[2]?.IsTrue ?? false));
    }

    static Value Unique(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("unique", "case_sensitive", "attribute");
        var key = Key(context, bound[0], bound[1]);
        return new GeneratorValue(value, Distinct());

        IEnumerable<Value> Distinct()
        {
            var seen = new HashSet<Value>(KeyEquality.Instance);
            foreach (var element in context.Elements(value))
                if (seen.Add(KeyEquality.Checked(key(element), context.Budget))) yield return element;
        }
    }

    static Value Extreme(ValueContext context, Value value, CallArguments arguments, string name, int sign)
    {
        var bound = arguments.Bind(name, "case_sensitive", "attribute");
        var key = Key(context, bound[0], bound[1]);
        Value? best = null;
        foreach (var element in context.Elements(value))
            if (best is null || Comparison.Compare(key(element), key(best), sign > 0 ? "<" : ">", context.Budget) * sign < 0) best = element;
        return best ?? new UndefinedValue("No aggregated item, sequence was empty.");
    }

    static Value GroupBy(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("groupby", "attribute", "default", "case_sensitive");
        var path = AttributePath.Of(bound[0].Required("groupby", "attribute"), context.Budget);
        var fallback = bound[1] is NoneValue ? null : bound[1];
        Value Group(Value element) => path.Read(element, context.Budget, fallback);
        Value GroupKey(Value element) => Folded(context, Group(element), bound[2]?.IsTrue ?? false);
        var groups = new List<Value>();
        var members = new List<Value>();
        foreach (var element in Sorted(context, context.Elements(value), [GroupKey], reverse: false))
        {
            if (members.Count > 0 && !Comparison.AreEqual(GroupKey(members[0]), GroupKey(element), context.Budget)) Close();
            context.Budget.MakeElements(1);
            members.Add(element);
        }
        if (members.Count > 0) Close();
        return context.ListOf(groups);

        void Close()
        {
            groups.Add(new GroupValue(Group(members[0]), new ListValue([.. members])));
            members.Clear();
        }
    }

    static Func<Value, Value> Key(ValueContext context, Value? caseSensitive, Value? attribute)
    {
        var isCaseSensitive = caseSensitive?.IsTrue ?? false;
        var path = attribute is null or NoneValue ? null : AttributePath.Of(attribute, context.Budget);
        return element => Folded(context, path?.Read(element, context.Budget) ?? element, isCaseSensitive);
    }

    static Value Folded(ValueContext context, Value value, bool isCaseSensitive) =>
        !isCaseSensitive && value is StringValue text ? context.Changed(text.Text, lower => lower.ToLowerInvariant()) : value;

    /// <summary>A stable sort. Equal elements keep their order in reverse too.</summary>
    static IEnumerable<Value> Sorted(ValueContext context, IEnumerable<Value> elements, IReadOnlyList<Func<Value, Value>> keys, bool reverse)
    {
        var keyed = elements.Select(element =>
        {
            context.Budget.MakeElements(keys.Count + 1);
            return (Element: element, Keys: keys.Select(key => key(element)).ToArray());
        }).ToArray();
        return Ordering.Sort(keyed, (x, y) =>
        {
            for (var i = 0; i < x.Keys.Length; i++)
                if (Comparison.Compare(x.Keys[i], y.Keys[i], "<", context.Budget) is { } difference and not 0) return reverse ? -difference : difference;
            return 0;
        }).Select(pair => pair.Element);
    }
}
