using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>Bounds containers within containers, so that walking a value never exhausts the stack.</summary>
static class Nesting
{
    /// <summary>The depth of a container around these values.</summary>
    public static int Around(IEnumerable<Value> values)
    {
        var deepest = 0;
        foreach (var value in values) deepest = Math.Max(deepest, value.Depth);
        return deepest < TemplateLimits.ValueDepth ? deepest + 1
            : throw new TemplateFault($"a value holds values in more than {TemplateLimits.ValueDepth} levels");
    }
}
