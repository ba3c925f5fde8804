using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>Methods that search text or split it.</summary>
static partial class StringMethods
{
    /// <summary>The lines of a text as Python's splitlines() gives them; it knows more line breaks than \n.</summary>
    public static IEnumerable<string> Lines(string text, bool keepEnds)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = start;
            while (end < text.Length && text[end] is not ('\n' or '\r' or '\v' or '\f' or (>= '\x1c' and <= '\x1e') or '\x85' or '\u2028' or '\u2029')) end++;
            var next = end == text.Length ? end : end + 1 < text.Length && text[end] == '\r' && text[end + 1] == '\n' ? end + 2 : end + 1;
            yield return text[start..(keepEnds ? next : end)];
            start = next;
        }
    }

    static Value SplitLines(ValueContext context, StringValue self, CallArguments arguments)
    {
        var keepEnds = arguments.Bind("splitlines", "keepends")[0]?.IsTrue ?? false;
        return context.ListOf(Lines(self.Text, keepEnds).Select(context.Text));
    }

    static Value Split(ValueContext context, StringValue self, CallArguments arguments, bool fromEnd)
    {
        var bound = arguments.Bind("split", "sep", "maxsplit");
        var cuts = bound[1]?.AsInteger("split") ?? -1;
        if (cuts < 0) cuts = long.MaxValue;
        var separator = bound[0] is null or NoneValue ? null : bound[0]!.AsText("split");
        if (separator is "") throw new TemplateFault("empty separator");
        var parts = separator is not null ? fromEnd ? SplitFromEnd(self.Text, separator, cuts) : SplitFromStart(self.Text, separator, cuts)
            : fromEnd ? WordsFromEnd(self.Text, cuts) : WordsFromStart(self.Text, cuts);
        var list = context.ListOf(parts.Select(context.Text));
        if (fromEnd) Array.Reverse(list.Items);
        return list;
    }

    static IEnumerable<string> SplitFromStart(string text, string separator, long cuts)
    {
        var start = 0;
        for (; cuts > 0 && text.IndexOf(separator, start, StringComparison.Ordinal) is var at && at >= 0; cuts--)
        {
            yield return text[start..at];
            start = at + separator.Length;
        }
        yield return text[start..];
    }

    /// <summary>The parts from the last to the first.</summary>
    static IEnumerable<string> SplitFromEnd(string text, string separator, long cuts)
    {
        var end = text.Length;
        for (; cuts > 0 && text.AsSpan(0, end).LastIndexOf(separator) is var at && at >= 0; cuts--)
        {
            yield return text[(at + separator.Length)..end];
            end = at;
        }
        yield return text[..end];
    }

    static IEnumerable<string> WordsFromStart(string text, long cuts)
    {
        for (var rest = Whitespace.TrimStart(text); rest.Length > 0; cuts--)
        {
            var end = 0;
            while (end < rest.Length && !Whitespace.IsWhitespace(rest[end])) end++;
            yield return cuts > 0 ? rest[..end] : rest;
            if (cuts <= 0) yield break;
            rest = Whitespace.TrimStart(rest[end..]);
        }
    }

    static IEnumerable<string> WordsFromEnd(string text, long cuts)
    {
        for (var rest = Whitespace.TrimEnd(text); rest.Length > 0; cuts--)
        {
            var start = rest.Length;
            while (start > 0 && !Whitespace.IsWhitespace(rest[start - 1])) start--;
            yield return cuts > 0 ? rest[start..] : rest;
            if (cuts <= 0) yield break;
            rest = Whitespace.TrimEnd(rest[..start]);
        }
    }

    static Value Partition(ValueContext context, StringValue self, CallArguments arguments, bool fromEnd)
    {
        var separator = arguments.Bind("partition", "sep")[0].Required("partition", "sep").AsText("partition");
        if (separator.Length == 0) throw new TemplateFault("empty separator");
        var at = fromEnd ? self.Text.LastIndexOf(separator, StringComparison.Ordinal) : self.Text.IndexOf(separator, StringComparison.Ordinal);
        var empty = new StringValue("");
        if (at < 0) return fromEnd ? new TupleValue(empty, empty, self) : new TupleValue(self, empty, empty);
        return new TupleValue(context.Text(self.Text[..at]), context.Text(separator), context.Text(self.Text[(at + separator.Length)..]));
    }

    static Value StartsOrEnds(ValueContext context, StringValue self, CallArguments arguments, bool atEnd)
    {
        var name = atEnd ? "endswith" : "startswith";
        var bound = arguments.Bind(name, "prefix", "start", "end");
        var text = Part(context, self, bound[1], bound[2]).Text;
        var wanted = bound[0].Required(name, "prefix");
        Value[] candidates = wanted is TupleValue several ? several.Items : [wanted];
        return BooleanValue.Of(candidates.Any(candidate => atEnd
            ? text.EndsWith(candidate.AsText(name), StringComparison.Ordinal)
            : text.StartsWith(candidate.AsText(name), StringComparison.Ordinal)));
    }

    static Value Index(ValueContext context, StringValue self, CallArguments arguments, string name, bool fromEnd) =>
        Find(context, self, arguments, name, fromEnd) is var at && at >= 0 ? new IntegerValue(at) : throw new TemplateFault("substring not found");

    /// <summary>The index, in code points, of a text in this one; -1 if it is not found.</summary>
    static int Find(ValueContext context, StringValue self, CallArguments arguments, string name, bool fromEnd)
    {
        var bound = arguments.Bind(name, "sub", "start", "end");
        var part = Part(context, self, bound[1], bound[2]);
        var wanted = bound[0].Required(name, "sub").AsText(name);
        var at = fromEnd ? part.Text.AsSpan().LastIndexOf(wanted) : part.Text.AsSpan().IndexOf(wanted);
        if (at < 0 || (part.Text.Length == 0 && bound[1] is not null && bound[1] is not NoneValue && bound[1]!.AsInteger(name) > self.Count)) return -1;
        return SliceRange.Of(Bound(bound[1]), null, null, self.Count!.Value).Start + part.CodePointsIn(at);
    }

    static Value Count(ValueContext context, StringValue self, CallArguments arguments)
    {
        var bound = arguments.Bind("count", "sub", "start", "end");
        var part = Part(context, self, bound[1], bound[2]);
        var wanted = bound[0].Required("count", "sub").AsText("count");
        return new IntegerValue(wanted.Length == 0 ? part.Count!.Value + 1 : part.Text.AsSpan().Count(wanted));
    }

    static StringValue Part(ValueContext context, StringValue self, Value? start, Value? end) => start is null && end is null ? self
        : (StringValue)self.Pick(length => SliceRange.Of(Bound(start), Bound(end), null, length), context);

    static long? Bound(Value? bound) => bound is null or NoneValue ? null : bound.AsInteger("a slice");
}
