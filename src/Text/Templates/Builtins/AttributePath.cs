using System.Globalization;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>An attribute as filters name it: <c>"function.name"</c>, with numbers as indices.</summary>
sealed class AttributePath(IReadOnlyList<Value> parts)
{
    public static AttributePath Of(Value written) => new(written is not StringValue text ? [written]
        : [.. text.Text.Split('.').Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? (Value)new IntegerValue(index) : new StringValue(part))]);

    /// <summary>The attribute of an element; where a part is undefined, <paramref name="fallback"/> if there is one.</summary>
    public Value Read(RenderContext context, Value element, Value? fallback = null)
    {
        foreach (var part in parts)
        {
            element = context.Item(element, part);
            if (element is UndefinedValue && fallback is not null) element = fallback;
        }
        return element;
    }
}
