using System.Globalization;
using LlamaCluster.Cli.Commands;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>A mapping of a YAML file whose keys are taken one by one. Errors name file and line, and say what is allowed.</summary>
sealed class YamlMap
{
    readonly string _file;
    readonly string _what;
    readonly YamlMappingNode _node;
    readonly Dictionary<string, YamlNode> _left = new(StringComparer.Ordinal);
    readonly List<string> _known = [];

    /// <param name="what">What the mapping describes, for errors.</param>
    /// <exception cref="CommandFailedException">The node is not a mapping of names.</exception>
    public YamlMap(string file, YamlNode node, string what)
    {
        (_file, _what) = (file, what);
        _node = node as YamlMappingNode ?? throw At(node, $"{what} must be a mapping of keys to values");
        foreach (var (key, value) in _node.Children)
            _left.Add(key is YamlScalarNode { Value: { } name } ? name : throw At(key, $"a key of {what} is no name"), value);
    }

    /// <exception cref="CommandFailedException">The key is missing.</exception>
    public T Required<T>(string key, Func<string, T?> take) where T : struct => take(key) ?? throw Missing(key);

    public CommandFailedException Missing(string key) => At(_node, $"{_what} needs {key}");

    public string? Text(string key)
    {
        if (Take(key) is not { } node) return null;
        return node is YamlScalarNode { Value: { Length: > 0 and <= 100 } text } && !text.Any(char.IsControl)
            ? text
            : throw At(node, $"{key} must be a text of 1 to 100 characters");
    }

    public int? Count(string key, int most)
    {
        if (Take(key) is not { } node) return null;
        return node is YamlScalarNode { Value: { } text } && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            && count >= 1 && count <= most
            ? count
            : throw At(node, $"{key} must be a whole number from 1 to {most}");
    }

    public double? Number(string key, IReadOnlyList<(string Unit, double Factor)> units)
    {
        if (Take(key) is not { } node) return null;
        return node is YamlScalarNode { Value: { } text } && Quantity.Parse(text, units) is { } number
            ? number
            : throw At(node, $"{key} is '{node}'; it must be {Quantity.Describe(units)}");
    }

    public YamlMap? Map(string key) => Take(key) is { } node ? new YamlMap(_file, node, key) : null;

    /// <param name="what">What each entry describes, for errors.</param>
    public IReadOnlyList<YamlMap> List(string key, string what)
    {
        var node = Take(key) ?? throw Missing(key);
        return node is YamlSequenceNode { Children.Count: > 0 } list
            ? [.. list.Children.Select(item => new YamlMap(_file, item, what))]
            : throw At(node, $"{key} must be a list with at least one entry");
    }

    /// <summary>Call this after all known keys were taken.</summary>
    /// <exception cref="CommandFailedException">A key is left that is unknown.</exception>
    public void End()
    {
        if (_left.Count == 0) return;
        var unknown = _node.Children.Keys.First(key => _left.ContainsKey(((YamlScalarNode)key).Value!));
        throw At(unknown, $"'{unknown}' is unknown in {_what}; allowed are {string.Join(", ", _known)}");
    }

    public CommandFailedException Wrong(string problem) => At(_node, problem);

    YamlNode? Take(string key)
    {
        _known.Add(key);
        return _left.Remove(key, out var node) ? node : null;
    }

    CommandFailedException At(YamlNode node, string problem) => At(_file, node.Start, problem);

    public static CommandFailedException At(string file, Mark place, string problem) => new($"{file}:{place.Line}: {problem}");
}
