using System.Collections.Frozen;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>A filter: makes a value of the value before the bar.</summary>
delegate Value Filter(RenderContext context, Value value, CallArguments arguments);

/// <summary>The filters by name: those of Jinja2 but for HTML's and the random ones, and <c>tojson</c> as transformers has it.</summary>
static class Filters
{
    static readonly FrozenDictionary<string, Filter> ByName = new Dictionary<string, Filter>(
        [.. TextFilters.All, .. SequenceFilters.All, .. SelectionFilters.All, .. OrderFilters.All, .. NumberFilters.All]).ToFrozenDictionary();

    public static bool Exists(string name) => ByName.ContainsKey(name);

    public static Filter Get(string name) => ByName.TryGetValue(name, out var filter) ? filter : throw new TemplateFault($"no filter named '{name}'");
}
