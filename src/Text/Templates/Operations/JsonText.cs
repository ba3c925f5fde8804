using System.Globalization;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>
/// Writes values as Python's <c>json.dumps</c> does, like the <c>tojson</c> of transformers. Nothing is escaped for HTML, and characters
/// outside ASCII stay as they are unless <c>ensure_ascii</c> is asked for.
/// </summary>
/// <param name="Output">Where the text goes.</param>
/// <param name="Budget">Pays for sorting; the output pays for itself.</param>
/// <param name="Indent">Indentation of one level; null to write everything on one line.</param>
/// <param name="ItemSeparator">Text between elements.</param>
/// <param name="KeySeparator">Text between a key and its value.</param>
/// <param name="SortKeys">Sort the keys of each object.</param>
/// <param name="EnsureAscii">Escape everything that is not ASCII.</param>
sealed record JsonText(BoundedText Output, Budget Budget, string? Indent, string ItemSeparator, string KeySeparator, bool SortKeys, bool EnsureAscii)
{
    public void Write(Value value, int level = 0)
    {
        switch (value)
        {
            case NoneValue: Output.Append("null"); break;
            case BooleanValue: Output.Append(value.IsTrue ? "true" : "false"); break;
            case IntegerValue: value.WriteRepr(Output); break;
            case FloatValue real: Output.Append(Number(real.Number)); break;
            case StringValue text: Quote(text.Text); break;
            case SequenceValue sequence: WriteItems('[', ']', sequence.Items, level, item => Write(item, level + 1)); break;
            case DictionaryValue dictionary: WriteItems('{', '}', Entries(dictionary), level, entry => WriteEntry(entry, level + 1)); break;
            default: throw new TemplateFault($"Object of type {value.TypeName} is not JSON serializable");
        }
    }

    void WriteItems<T>(char open, char close, IReadOnlyCollection<T> items, int level, Action<T> write)
    {
        Output.Append(open);
        var first = true;
        foreach (var item in items)
        {
            if (!first) Output.Append(ItemSeparator);
            first = false;
            BreakLine(level + 1);
            write(item);
        }
        if (!first) BreakLine(level);
        Output.Append(close);
    }

    void WriteEntry(KeyValuePair<Value, Value> entry, int level)
    {
        Quote(KeyText(entry.Key));
        Output.Append(KeySeparator);
        Write(entry.Value, level);
    }

    IReadOnlyCollection<KeyValuePair<Value, Value>> Entries(DictionaryValue dictionary)
    {
        if (!SortKeys) return dictionary.Entries;
        Budget.MakeElements(dictionary.Entries.Count);
        if (!dictionary.Keys.All(key => key is StringValue)) throw new TemplateFault("tojson(sort_keys=true) wants keys that are text");
        return Ordering.Sort(dictionary.Entries, (a, b) => Comparison.CompareText(KeyText(a.Key), KeyText(b.Key), Budget));
    }

    void BreakLine(int level)
    {
        if (Indent is null) return;
        Output.Append('\n');
        for (var i = 0; i < level; i++) Output.Append(Indent);
    }

    void Quote(string text)
    {
        Output.Append('"');
        var written = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var escape = Escape(text[i]);
            if (escape is null) continue;
            Output.Append(text.AsSpan(written..i)).Append(escape);
            written = i + 1;
        }
        Output.Append(text.AsSpan(written)).Append('"');
    }

    string? Escape(char character) => character switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\b' => "\\b",
        '\f' => "\\f",
        < ' ' => $"\\u{(int)character:x4}",
        > '~' when EnsureAscii => $"\\u{(int)character:x4}",
        _ => null,
    };

    static string KeyText(Value key) => key switch
    {
        StringValue text => text.Text,
        NoneValue => "null",
        BooleanValue => key.IsTrue ? "true" : "false",
        IntegerValue integer => integer.Integer.ToString(CultureInfo.InvariantCulture),
        FloatValue real => Number(real.Number),
        _ => throw new TemplateFault($"keys must be str, int, float, bool or None, not {key.TypeName}"),
    };

    static string Number(double number) =>
        double.IsNaN(number) ? "NaN" : double.IsInfinity(number) ? number > 0 ? "Infinity" : "-Infinity" : FloatText.Repr(number);
}
