using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>Methods that search text or split it.</summary>
static partial class StringMethods
{
    /// <summary>Where the lines of a text start and end, as Python's splitlines() gives them; it knows more line breaks than \n.</summary>
    public static IEnumerable<(int Start, int End)> Lines(string text, bool keepEnds)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = start;
            while (end < text.Length && text[end] is not ('\n' or '\r' or '\v' or '\f' or (>= '\x1c' and <= '\x1e') or '\x85' or '\u2028' or '\u2029')) end++;
            var next = end == text.Length ? end : end + 1 < text.Length && text[end] == '\r' && text[end + 1] == '\n' ? end + 2 : end + 1;
            yield return (start, keepEnds ? next : end);
            start = next;
        }
    }

    static Value SplitLines(ValueContext context, StringValue self, CallArguments arguments)
    {
        var keepEnds = arguments.Bind("splitlines", "keepends")[0]?.IsTrue ?? false;
        return ListOf(context, self.Text, Lines(self.Text, keepEnds));
    }

    static Value Split(ValueContext context, StringValue self, CallArguments arguments, bool fromEnd)
    {
        var bound = arguments.Bind("split", "sep", "maxsplit");
        var cuts = bound[1]?.AsInteger("split") ?? -1;
        if (cuts < 0) cuts = long.MaxValue;
        var separator = bound[0] is null or NoneValue ? null : bound[0]!.AsText("split");
        if (separator is "") throw new TemplateFault("empty separator");
        var parts = separator is null ? fromEnd ? WordsFromEnd(self.Text, cuts) : WordsFromStart(self.Text, cuts)
            : fromEnd ? SplitFromEnd(self.Text, separator, cuts, context.Budget) : SplitFromStart(self.Text, separator, cuts, context.Budget);
        var list = ListOf(context, self.Text, parts);
        if (fromEnd) Array.Reverse(list.Items);
        return list;
    }

    static ListValue ListOf(ValueContext context, string text, IEnumerable<(int Start, int End)> parts) =>
        context.ListOf(parts.Select(part => context.Text(text.AsSpan(part.Start..part.End))));

    static IEnumerable<(int Start, int End)> SplitFromStart(string text, string separator, long cuts, Budget budget)
    {
        var start = 0;
        for (; cuts > 0 && TextSearch.IndexOf(text.AsSpan(start), separator, budget) is var at && at >= 0; cuts--)
        {
            yield return (start, start + at);
            start += at + separator.Length;
        }
        yield return (start, text.Length);
    }

    /// <summary>The parts from the last to the first.</summary>
    static IEnumerable<(int Start, int End)> SplitFromEnd(string text, string separator, long cuts, Budget budget)
    {
        var end = text.Length;
        for (; cuts > 0 && TextSearch.LastIndexOf(text.AsSpan(0, end), separator, budget) is var at && at >= 0; cuts--)
        {
            yield return (at + separator.Length, end);
            end = at;
        }
        yield return (0, end);
    }

    static IEnumerable<(int Start, int End)> WordsFromStart(string text, long cuts)
    {
        for (var start = Whitespace.SkipForward(text, 0); start < text.Length; cuts--)
        {
            if (cuts <= 0)
            {
                yield return (start, text.Length);
                yield break;
            }
            var end = start;
            while (end < text.Length && !Whitespace.IsWhitespace(text[end])) end++;
            yield return (start, end);
            start = Whitespace.SkipForward(text, end);
        }
    }

    /// <summary>The words from the last to the first.</summary>
    static IEnumerable<(int Start, int End)> WordsFromEnd(string text, long cuts)
    {
        for (var end = Whitespace.SkipBackward(text, text.Length); end > 0; cuts--)
        {
            if (cuts <= 0)
            {
                yield return (0, end);
                yield break;
            }
            var start = end;
            while (start > 0 && !Whitespace.IsWhitespace(text[start - 1])) start--;
            yield return (start, end);
            end = Whitespace.SkipBackward(text, start);
        }
    }

    static Value Partition(ValueContext context, StringValue self, CallArguments arguments, bool fromEnd)
    {
        var separator = arguments.Bind("partition", "sep")[0].Required("partition", "sep").AsText("partition");
        if (separator.Length == 0) throw new TemplateFault("empty separator");
        var at = fromEnd ? TextSearch.LastIndexOf(self.Text, separator, context.Budget) : TextSearch.IndexOf(self.Text, separator, context.Budget);
        var empty = new StringValue("");
        if (at < 0) return fromEnd ? new TupleValue(empty, empty, self) : new TupleValue(self, empty, empty);
        return new TupleValue(context.Text(self.Text.AsSpan(0, at)), context.Text(separator), context.Text(self.Text.AsSpan(at + separator.Length)));
    }

    static Value StartsOrEnds(ValueContext context, StringValue self, CallArguments arguments, bool atEnd)
    {
        var name = atEnd ? "endswith" : "startswith";
        var bound = arguments.Bind(name, "prefix", "start", "end");
        var text = Part(context, self, bound[1], bound[2]).Text;
        var wanted = bound[0].Required(name, "prefix");
        Value[] candidates = wanted is TupleValue several ? several.Items : [wanted];
        return BooleanValue.Of(candidates.Any(Fits));

        bool Fits(Value candidate)
        {
            var part = candidate.AsText(name);
            context.Budget.Spend(1);
            context.Budget.SpendOnText(part.Length);
            return atEnd ? text.EndsWith(part, StringComparison.Ordinal) : text.StartsWith(part, StringComparison.Ordinal);
        }
    }

    static Value Index(ValueContext context, StringValue self, CallArguments arguments, string name, bool fromEnd) =>
        Find(context, self, arguments, name, fromEnd) is var at && at >= 0 ? new IntegerValue(at) : throw new TemplateFault("substring not found");

    /// <summary>The index, in code points, of a text in this one; -1 if it is not found.</summary>
    static int Find(ValueContext context, StringValue self, CallArguments arguments, string name, bool fromEnd)
    {
        var bound = arguments.Bind(name, "sub", "start", "end");
        var part = Part(context, self, bound[1], bound[2]);
        var wanted = bound[0].Required(name, "sub").AsText(name);
        var at = fromEnd ? TextSearch.LastIndexOf(part.Text, wanted, context.Budget) : TextSearch.IndexOf(part.Text, wanted, context.Budget);
        if (at < 0 || (part.Text.Length == 0 && bound[1] is not null && bound[1] is not NoneValue && bound[1]!.AsInteger(name) > self.Count)) return -1;
        context.Budget.SpendOnText(at);
        return SliceRange.Of(Bound(bound[1]), null, null, self.Count!.Value).Start + part.CodePointsIn(at);
    }

    static Value Count(ValueContext context, StringValue self, CallArguments arguments)
    {
        var bound = arguments.Bind("count", "sub", "start", "end");
        var part = Part(context, self, bound[1], bound[2]);
        var wanted = bound[0].Required("count", "sub").AsText("count");
        return new IntegerValue(wanted.Length == 0 ? part.Count!.Value + 1 : TextSearch.Count(part.Text, wanted, context.Budget));
    }

    static StringValue Part(ValueContext context, StringValue self, Value? start, Value? end) => start is null && end is null ? self
        : (StringValue)self.Pick(length => SliceRange.Of(Bound(start), Bound(end), null, length), context);

    static long? Bound(Value? bound) => bound is null or NoneValue ? null : bound.AsInteger("a slice");
}
