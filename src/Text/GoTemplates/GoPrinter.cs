using System.Globalization;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>Writes values as Go's fmt package does with the verb v.</summary>
static class GoPrinter
{
    /// <summary>What an action writes.</summary>
    public static void Print(GoRendering rendering, BoundedText output, object? value)
    {
        if (value is null) output.Append("<no value>");
        else Write(rendering, output, value);
    }

    /// <summary>The arguments of print: with a space between two of which none is a string.</summary>
    public static void PrintAll(GoRendering rendering, BoundedText output, IReadOnlyList<object?> values)
    {
        for (var i = 0; i < values.Count; i++)
        {
            if (i > 0 && values[i] is not string && values[i - 1] is not string) output.Append(' ');
            Write(rendering, output, values[i]);
        }
    }

    public static void PrintLine(GoRendering rendering, BoundedText output, IReadOnlyList<object?> values)
    {
        for (var i = 0; i < values.Count; i++)
        {
            if (i > 0) output.Append(' ');
            Write(rendering, output, values[i]);
        }
        output.Append('\n');
    }

    public static void Write(GoRendering rendering, BoundedText output, object? value)
    {
        rendering.Budget.Spend(1);
        switch (value)
        {
            case null: output.Append("<nil>"); break;
            case bool truth: output.Append(truth ? "true" : "false"); break;
            case long integer: output.Append(integer.ToString(CultureInfo.InvariantCulture)); break;
            case double real: output.Append(FloatText.GoText(real)); break;
            case string text: output.Append(text); break;
            case GoList { Printing: GoPrinting.Json } or GoMap { Printing: GoPrinting.Json } or GoStruct { Printing: GoPrinting.Json }:
                new GoJson(rendering, output).Write(value);
                break;
            case GoList { Printing: GoPrinting.Alone, Items: [var only] }: Write(rendering, output, only); break;
            case GoList list: WriteItems(output, '[', ']', list.Items, item => Write(rendering, output, item)); break;
            case GoStruct { Type: GoInput.MessageType }: throw new TemplateFault("a message cannot be printed: print its fields");
            case GoStruct one: WriteItems(output, '{', '}', one.Fields, field => Write(rendering, output, field.Value)); break;
            case GoMap map:
                output.Append("map");
                WriteItems(output, '[', ']', map.Entries, entry =>
                {
                    output.Append(entry.Key).Append(':');
                    Write(rendering, output, entry.Value);
                });
                break;
        }
    }

    static void WriteItems<T>(BoundedText output, char open, char close, IReadOnlyList<T> items, Action<T> write)
    {
        output.Append(open);
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0) output.Append(' ');
            write(items[i]);
        }
        output.Append(close);
    }
}
