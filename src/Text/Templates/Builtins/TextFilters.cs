using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>Filters whose result is text, or is about text.</summary>
static class TextFilters
{
    public static readonly KeyValuePair<string, Filter>[] All =
    [
        new("string", (context, value, arguments) => { arguments.Bind("string"); return AsString(context, value); }),
        new("upper", (context, value, arguments) => Call(context, value, "upper", arguments)),
        new("lower", (context, value, arguments) => Call(context, value, "lower", arguments)),
        new("capitalize", (context, value, arguments) => Call(context, value, "capitalize", arguments)),
        new("title", (context, value, arguments) => { arguments.Bind("title"); return context.Changed(context.TextOf(value), LetterCase.TitleWords); }),
        new("trim", Trim),
        new("replace", Replace),
        new("center", (context, value, arguments) => Call(context, value, "center", arguments.Positional.Count > 0 ? arguments : new([new IntegerValue(80)]))),
        new("indent", Indent),
        new("format", Format),
        new("escape", Escape),
        new("e", Escape),
        new("forceescape", (context, value, _) => new StringValue(new StringValue(context.TextOf(value)).Escape(context.Budget), isMarkup: true)),
        new("safe", (context, value, _) => new StringValue(context.TextOf(value), isMarkup: true)),
        new("wordcount", (context, value, _) => new IntegerValue(CountWords(context.TextOf(value), context.Budget))),
        new("truncate", Truncate),
        new("tojson", ToJson),
    ];

    static StringValue AsString(ValueContext context, Value value) => value as StringValue ?? new StringValue(context.TextOf(value));

    static Value Call(ValueContext context, Value value, string method, CallArguments arguments) =>
        StringMethods.Find(AsString(context, value), method)!.Call(context, arguments);

    static Value Trim(ValueContext context, Value value, CallArguments arguments)
    {
        var characters = arguments.Bind("trim", "chars")[0];
        return Call(context, value, "strip", characters is null ? CallArguments.None : new CallArguments([characters]));
    }

    static Value Replace(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("replace", "old", "new", "count");
        var (old, replacement) = (bound[0].Required("replace", "old"), bound[1].Required("replace", "new"));
        Value[] texts = [new StringValue(context.TextOf(old)), new StringValue(context.TextOf(replacement))];
        return Call(context, value, "replace", new CallArguments(bound[2] is null or NoneValue ? texts : [.. texts, bound[2]!]));
    }

    static Value Indent(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("indent", "width", "first", "blank");
        var text = value is UndefinedValue undefined ? throw undefined.Fault() : value.AsText("indent");
        var indent = bound[0] is StringValue given ? given.Text : new string(' ', Math.Clamp(bound[0]?.AsCount("indent") ?? 4, 0, 1000));
        bool first = bound[1]?.IsTrue ?? false, blank = bound[2]?.IsTrue ?? false;
        var output = new BoundedText(context.Budget);
        context.Budget.MakeText(text.Length + 1);
        var isFirst = true;
        foreach (var (start, end) in StringMethods.Lines(text + "\n", keepEnds: false))
        {
            context.Budget.Spend(1);
            if (!isFirst) output.Append('\n');
            if (isFirst ? first : blank || end > start) output.Append(indent);
            output.Append(text.AsSpan(start, end - start));
            isFirst = false;
        }
        return new StringValue(output.ToString());
    }

    static Value Format(ValueContext context, Value value, CallArguments arguments)
    {
        if (arguments.Named.Count > 0 && arguments.Positional.Count > 0) throw new TemplateFault("format() takes values in order or by name, not both");
        Value values = arguments.Named.Count == 0 ? new TupleValue([.. arguments.Positional])
            : new DictionaryValue(arguments.Named.Select(pair => KeyValuePair.Create<Value, Value>(new StringValue(pair.Key), pair.Value)), context.Budget);
        return PercentFormat.Apply(AsString(context, value), values, context);
    }

    static Value Escape(ValueContext context, Value value, CallArguments arguments)
    {
        arguments.Bind("escape");
        return new StringValue(AsString(context, value).Escape(context.Budget), isMarkup: true);
    }

    /// <summary>Counts the runs of letters, digits and underscores.</summary>
    static int CountWords(string text, Budget budget)
    {
        budget.SpendOnLetters(text.Length);
        var count = 0;
        for (var i = 0; i < text.Length; i++)
            if (IsInWord(text[i]) && (i == 0 || !IsInWord(text[i - 1]))) count++;
        return count;

        static bool IsInWord(char character) => char.IsLetterOrDigit(character) || character == '_';
    }

    static Value Truncate(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("truncate", "length", "killwords", "end", "leeway");
        var text = AsString(context, value);
        var end = bound[2] is null ? new StringValue("...") : AsString(context, bound[2]!);
        int length = bound[0]?.AsCount("truncate") ?? 255, leeway = bound[3]?.AsCount("truncate") ?? 5;
        if (length < end.Count) throw new TemplateFault($"truncate() wants a length of at least {end.Count}, not {length}");
        if (text.Count <= (long)length + leeway) return text;
        var kept = ((StringValue)text.Pick(count => SliceRange.Of(0, length - end.Count, 1, count), context)).Text;
        if (bound[1]?.IsTrue != true && kept.LastIndexOf(' ') is var space && space >= 0) kept = kept[..space];
        return new StringValue(new BoundedText(context.Budget).Append(kept).Append(end.Text).ToString());
    }

    static Value ToJson(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys");
        var indent = bound[1] switch
        {
            null or NoneValue => null,
            StringValue text => text.Text,
            var width => new string(' ', Math.Clamp(width.AsCount("tojson"), 0, 1000)),
        };
        var (item, key) = bound[2] switch
        {
            null or NoneValue => (indent is null ? ", " : ",", ": "),
            SequenceValue { Items: [StringValue first, StringValue second] } => (first.Text, second.Text),
            _ => throw new TemplateFault("tojson() wants two texts as separators"),
        };
        var output = new BoundedText(context.Budget);
        new JsonText(output, context.Budget, indent, item, key, SortKeys: bound[3]?.IsTrue ?? false, EnsureAscii: bound[0]?.IsTrue ?? false).Write(value);
        return new StringValue(output.ToString());
    }
}
