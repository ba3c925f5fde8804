using System.Globalization;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>The method <c>format</c> of text: <c>"{} of {n:02d}".format(a, n=3)</c>. Fields name an argument, without attributes or indices.</summary>
static class BraceFormat
{
    public static Value Apply(StringValue format, CallArguments arguments, RenderContext context)
    {
        var output = new BoundedText(context.Budget);
        var text = format.Text;
        var used = 0;
        for (var at = 0; at < text.Length; at++)
        {
            var character = text[at];
            if (character is not ('{' or '}')) output.Append(character);
            else if (at + 1 < text.Length && text[at + 1] == character) output.Append(text[at++]);
            else if (character == '}') throw new TemplateFault("single '}' encountered in format string");
            else
            {
                var end = text.IndexOf('}', at);
                if (end < 0) throw new TemplateFault("expected '}' before end of format string");
                output.Append(Field(text[(at + 1)..end]));
                at = end;
            }
        }
        return new StringValue(output.ToString());

        string Field(string field)
        {
            var colon = field.IndexOf(':');
            var value = Find(colon < 0 ? field : field[..colon]);
            return FormatSpec.Parse(colon < 0 ? "" : field[(colon + 1)..]).Apply(value, context);
        }

        Value Find(string name)
        {
            if (arguments.Named.TryGetValue(name, out var named)) return named;
            var index = name.Length == 0 ? used++ : int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given
                : throw new TemplateFault($"format has no argument '{name}'");
            return index < arguments.Positional.Count ? arguments.Positional[index] : throw new TemplateFault($"format has no argument {index}");
        }
    }
}
