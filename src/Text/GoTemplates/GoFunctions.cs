using System.Globalization;
using System.Text;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>The functions that templates can call, but for "and" and "or", which do not look at all of their arguments.</summary>
static class GoFunctions
{
    const string Date = "yyyy-MM-dd";

    static readonly Dictionary<string, Func<IReadOnlyList<object?>, GoRendering, object?>> Functions = new()
    {
        ["not"] = (given, _) => !GoValue.IsTrue(Only(given)),
        ["eq"] = IsAnyEqual,
        ["ne"] = (given, rendering) => given.Count == 2 ? !IsEqual(given[0], given[1], rendering.Budget) : throw Wants("two arguments"),
        ["lt"] = (given, rendering) => Compare(given, rendering) < 0,
        ["le"] = (given, rendering) => Compare(given, rendering) <= 0,
        ["gt"] = (given, rendering) => Compare(given, rendering) > 0,
        ["ge"] = (given, rendering) => Compare(given, rendering) >= 0,
        ["len"] = (given, rendering) => Length(Only(given), rendering),
        ["index"] = Index,
        ["slice"] = Slice,
        ["print"] = (given, rendering) => Made(rendering, text => GoPrinter.PrintAll(rendering, text, given)),
        ["println"] = (given, rendering) => Made(rendering, text => GoPrinter.PrintLine(rendering, text, given)),
        ["printf"] = (given, rendering) => given is [string format, ..]
            ? Made(rendering, text => new GoFormat(rendering, text, format, given).Write())
            : throw Wants("a format, which is a string"),
        ["json"] = (given, rendering) => Made(rendering, text => new GoJson(rendering, text).Write(Only(given))),
        ["currentDate"] = (_, rendering) => rendering.Now.ToString(Date, CultureInfo.InvariantCulture),
        ["yesterdayDate"] = (_, rendering) => rendering.Now.AddDays(-1).ToString(Date, CultureInfo.InvariantCulture),
    };

    /// <summary>Functions that Go or Ollama has besides.</summary>
    static readonly string[] Missing = ["call", "html", "js", "urlquery", "toTypeScriptType"];

    public static bool IsKnown(string name) => Functions.ContainsKey(name) || name is "and" or "or";

    public static bool IsOfGo(string name) => Missing.Contains(name);

    public static object? Call(string name, IReadOnlyList<object?> arguments, GoRendering rendering)
    {
        try
        {
            return Functions.TryGetValue(name, out var function)
                ? function(arguments, rendering)
                : throw Wants("at least one argument");   // "and" or "or" as an operand
        }
        catch (UnsuitableArguments unsuitable)
        {
            throw new TemplateFault($"'{name}' {unsuitable.Message}");
        }
    }

    /// <summary>Elements, or bytes of a string: Go's strings are UTF-8.</summary>
    static long Length(object? value, GoRendering rendering)
    {
        switch (value)
        {
            case GoList list: return list.Items.Count;
            case GoMap map: return map.Entries.Count;
            case string text:
                rendering.Budget.SpendOnLetters(text.Length);
                long bytes = 0;
                foreach (var rune in text.EnumerateRunes()) bytes += BytesOf(rune, rendering);
                return bytes;
            default: throw Wants($"a string, list or map, not {GoValue.TypeOf(value)}");
        }
    }

    static int BytesOf(Rune rune, GoRendering rendering) =>
        rune.IsBmp && rendering.MeaningOf((char)rune.Value) is { } meaning ? Encoding.UTF8.GetByteCount([meaning]) : rune.Utf8SequenceLength;

    static object? Index(IReadOnlyList<object?> given, GoRendering rendering)
    {
        if (given.Count == 0) throw Wants("a list or map");
        var value = given[0];
        foreach (var index in given.Skip(1))
        {
            rendering.Budget.Spend(1);
            value = (value, index) switch
            {
                (GoList list, long at) => at >= 0 && at < list.Items.Count ? list.Items[(int)at]
                    : throw new UnsuitableArguments($"looks for element {at} of {list.Items.Count}"),
                (GoMap map, string key) => map.Find(key),
                (GoList, _) => throw Wants($"a number as index of a list, not {GoValue.TypeOf(index)}"),
                (GoMap, _) => throw Wants($"a string as key of a map, not {GoValue.TypeOf(index)}"),
                _ => throw Wants($"a list or map, not {GoValue.TypeOf(value)}"),
            };
        }
        return value;
    }

    static object Slice(IReadOnlyList<object?> given, GoRendering rendering)
    {
        if (given.Count is 0 or > 3) throw Wants("a string or list and at most two indices");
        if (given.Skip(1).FirstOrDefault(index => index is not long, 0L) is not long) throw Wants("numbers as indices");
        var length = given[0] is GoMap ? throw Wants("a string or list, not map") : Length(given[0], rendering);
        var from = given.Count > 1 ? (long)given[1]! : 0;
        var to = given.Count > 2 ? (long)given[2]! : length;
        if (from < 0 || to > length || from > to) throw new UnsuitableArguments($"takes {from} to {to} of {length}");
        if (given[0] is GoList list)
        {
            rendering.Budget.MakeElements(to - from);
            return new GoList([.. list.Items.Skip((int)from).Take((int)(to - from))]);
        }
        var text = (string)given[0]!;
        rendering.Budget.SpendOnLetters(text.Length);
        rendering.Budget.MakeText(to - from);
        return text[UnitAt(text, from, rendering)..UnitAt(text, to, rendering)];
    }

    /// <summary>The place in a string of what stands behind so many bytes of it.</summary>
    static int UnitAt(string text, long bytes, GoRendering rendering)
    {
        var unit = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if (bytes <= 0) break;
            bytes -= BytesOf(rune, rendering);
            unit += rune.Utf16SequenceLength;
        }
        return bytes == 0 ? unit : throw new UnsuitableArguments("cuts a character of more than one byte");
    }

    static object IsAnyEqual(IReadOnlyList<object?> given, GoRendering rendering)
    {
        if (given.Count < 2) throw Wants("at least two arguments");
        foreach (var other in given.Skip(1))
            if (IsEqual(given[0], other, rendering.Budget)) return true;
        return false;
    }

    static bool IsEqual(object? left, object? right, Budget budget)
    {
        switch (left, right)
        {
            case (GoList or GoMap or GoStruct, _) or (_, GoList or GoMap or GoStruct):
                throw new UnsuitableArguments($"cannot compare {GoValue.TypeOf(left)} and {GoValue.TypeOf(right)}");
            case (null, _) or (_, null):
                return left is null && right is null;
            case (string one, string other):
                budget.SpendOnText(Math.Min(one.Length, other.Length));
                return one == other;
            default:
                return left.GetType() == right.GetType() ? left.Equals(right)
                    : throw new UnsuitableArguments($"cannot compare {GoValue.TypeOf(left)} and {GoValue.TypeOf(right)}");
        }
    }

    static int Compare(IReadOnlyList<object?> given, GoRendering rendering)
    {
        if (given.Count != 2) throw Wants("two arguments");
        switch (given[0], given[1])
        {
            case (long one, long other): return one.CompareTo(other);
            case (double one, double other): return one.CompareTo(other);
            case (string one, string other):
                rendering.Budget.SpendOnText(Math.Min(one.Length, other.Length));
                return string.CompareOrdinal(one, other);
            default: throw new UnsuitableArguments($"cannot compare {GoValue.TypeOf(given[0])} and {GoValue.TypeOf(given[1])}");
        }
    }

    static string Made(GoRendering rendering, Action<BoundedText> write)
    {
        var text = new BoundedText(rendering.Budget);
        write(text);
        return text.ToString();
    }

    static object? Only(IReadOnlyList<object?> given) => given.Count == 1 ? given[0] : throw Wants("one argument");

    static UnsuitableArguments Wants(string what) => new($"wants {what}");
}

/// <summary>A function cannot be called with its arguments; the message goes on from the function's name.</summary>
sealed class UnsuitableArguments(string reason) : Exception(ErrorText.OneLine(reason));
