using System.Diagnostics.CodeAnalysis;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>Names and their values. A loop's round, a macro's call and some blocks have their own; a name set there is gone after it.</summary>
sealed class Scope(Scope? parent)
{
    Dictionary<string, Value>? _names;

    public void Set(string name, Value value) => (_names ??= [])[name] = value;

    public bool TryGet(string name, [NotNullWhen(true)] out Value? value)
    {
        for (var scope = this; scope is not null; scope = scope.Parent)
            if (scope._names is { } names && names.TryGetValue(name, out value)) return true;
        value = null;
        return false;
    }

    Scope? Parent { get; } = parent;
}
