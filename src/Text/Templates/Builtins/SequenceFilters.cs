using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>Filters for lists, mappings and anything else that can be iterated.</summary>
static class SequenceFilters
{
    public static readonly KeyValuePair<string, Filter>[] All =
    [
        new("length", Length),
        new("count", Length),
        new("list", (context, value, arguments) => { arguments.Bind("list"); return context.ListOf(context.Elements(value)); }),
        new("first", First),
        new("last", Last),
        new("join", Join),
        new("items", Items),
        new("reverse", Reverse),
        new("default", Default),
        new("d", Default),
        new("attr", Attribute),
        new("batch", Batch),
        new("slice", Slice),
    ];

    static Value Length(ValueContext context, Value value, CallArguments arguments)
    {
        arguments.Bind("length");
        return new IntegerValue(value.Count ?? throw new TemplateFault($"object of type '{value.TypeName}' has no len()"));
    }

    static Value First(ValueContext context, Value value, CallArguments arguments)
    {
        arguments.Bind("first");
        return context.Elements(value).FirstOrDefault() ?? new UndefinedValue("No first item, sequence was empty.");
    }

    static Value Last(ValueContext context, Value value, CallArguments arguments)
    {
        arguments.Bind("last");
        if (value is GeneratorValue) throw new TemplateFault("'generator' object is not reversible");
        return context.Elements(value).LastOrDefault() ?? new UndefinedValue("No last item, sequence was empty.");
    }

    static Value Join(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("join", "d", "attribute");
        var separator = bound[0] is null ? "" : context.TextOf(bound[0]!);
        var attribute = bound[1] is null or NoneValue ? null : AttributePath.Of(bound[1]!, context.Budget);
        var output = new BoundedText(context.Budget);
        var isFirst = true;
        foreach (var element in context.Elements(value))
        {
            if (!isFirst) output.Append(separator);
            isFirst = false;
            (attribute?.Read(element, context.Budget) ?? element).WriteText(output);
        }
        return new StringValue(output.ToString());
    }

    static Value Items(ValueContext context, Value value, CallArguments arguments)
    {
        arguments.Bind("items");
        return value switch
        {
            UndefinedValue => new GeneratorValue(value, []),
            DictionaryValue dictionary => new GeneratorValue(value, dictionary.Items()),
            _ => throw new TemplateFault("can only get item pairs from a mapping"),
        };
    }

    static Value Reverse(ValueContext context, Value value, CallArguments arguments)
    {
        arguments.Bind("reverse");
        if (value is StringValue text) return text.Pick(length => SliceRange.Of(null, null, -1, length), context);
        var reversed = context.ListOf(context.Elements(value));
        Array.Reverse(reversed.Items);
        return new GeneratorValue(value, reversed.Items);
    }

    static Value Default(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("default", "default_value", "boolean");
        var isMissing = value is UndefinedValue || (bound[1]?.IsTrue == true && !value.IsTrue);
        return isMissing ? bound[0] ?? new StringValue("") : value;
    }

    static Value Attribute(ValueContext context, Value value, CallArguments arguments)
    {
        var name = arguments.Bind("attr", "name")[0].Required("attr", "name").AsText("attr");
        return Members.Find(value, name, context.Budget) ?? UndefinedValue.Missing(value, new StringValue(name));
    }

    static Value Batch(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("batch", "linecount", "fill_with");
        var size = bound[0].Required("batch", "linecount").AsCount("batch");
        if (size < 1) throw new TemplateFault($"batch() wants a line count of at least 1, not {size}");
        return new GeneratorValue(value, Batches());

        IEnumerable<Value> Batches()
        {
            var batch = new List<Value>();
            foreach (var element in context.Elements(value))
            {
                context.Budget.MakeElements(1);
                batch.Add(element);
                if (batch.Count < size) continue;
                yield return new ListValue([.. batch]);
                batch.Clear();
            }
            if (batch.Count == 0) yield break;
            if (bound[1] is not (null or NoneValue))
            {
                context.Budget.MakeElements(size - batch.Count);
                batch.AddRange(Enumerable.Repeat(bound[1]!, size - batch.Count));
            }
            yield return new ListValue([.. batch]);
        }
    }

    static Value Slice(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("slice", "slices", "fill_with");
        var count = bound[0].Required("slice", "slices").AsCount("slice");
        if (count < 1) throw new TemplateFault($"slice() wants at least 1 slice, not {count}");
        return new GeneratorValue(value, Slices());

        IEnumerable<Value> Slices()
        {
            var items = context.ListOf(context.Elements(value)).Items;
            var (size, longer) = Math.DivRem(items.Length, count);
            for (int i = 0, start = 0; i < count; i++)
            {
                var end = start + size + (i < longer ? 1 : 0);
                var fills = i >= longer && bound[1] is not (null or NoneValue);
                context.Budget.MakeElements(end - start + 1);
                yield return new ListValue([.. items.AsSpan(start..end), .. fills ? [bound[1]!] : Array.Empty<Value>()]);
                start = end;
            }
        }
    }
}
