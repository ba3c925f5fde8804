using System.Globalization;
using System.Text;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>Writes values as Go's encoding/json does: without white space, with the letters of HTML escaped.</summary>
sealed class GoJson(GoRendering rendering, BoundedText output)
{
    public void Write(object? value)
    {
        rendering.Budget.Spend(1);
        switch (value)
        {
            case null or GoList { IsNil: true }: output.Append("null"); break;
            case bool truth: output.Append(truth ? "true" : "false"); break;
            case long integer: output.Append(integer.ToString(CultureInfo.InvariantCulture)); break;
            case double real: output.Append(FloatText.GoJson(real)); break;
            case string text: Quote(text); break;
            case GoList { Printing: GoPrinting.Alone, Items: [var only] }: Write(only); break;
            case GoList list: WriteItems('[', ']', list.Items, Write); break;
            case GoMap map: WriteItems('{', '}', map.Entries, entry => WriteEntry(entry.Key, entry.Value)); break;
            case GoStruct one:
                var written = one.Fields.Where(field => !field.OmitsEmpty || GoValue.IsTrue(field.Value));
                WriteItems('{', '}', written, field => WriteEntry(field.JsonName, field.Value));
                break;
        }
    }

    void WriteEntry(string name, object? value)
    {
        Quote(name);
        output.Append(':');
        Write(value);
    }

    void WriteItems<T>(char open, char close, IEnumerable<T> items, Action<T> write)
    {
        output.Append(open);
        var isFirst = true;
        foreach (var item in items)
        {
            if (!isFirst) output.Append(',');
            isFirst = false;
            write(item);
        }
        output.Append(close);
    }

    void Quote(string text)
    {
        output.Append('"');
        var written = 0;
        for (var i = 0; i < text.Length; i++)
        {
            // An escape is written for what a letter stands for: no special token is made of escapes.
            if (Escape(rendering.MeaningOf(text[i]) ?? text[i]) is not { } escape) continue;
            output.Append(text.AsSpan(written..i)).Append(escape);
            written = i + 1;
        }
        output.Append(text.AsSpan(written)).Append('"');
    }

    static string? Escape(char letter) => letter switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\b' => "\\b",
        '\f' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        < ' ' or '<' or '>' or '&' or '\u2028' or '\u2029' => $"\\u{(int)letter:x4}",
        _ => null,
    };
}
