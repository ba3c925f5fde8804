using System.Diagnostics.CodeAnalysis;

namespace LlamaCluster.Text.GoTemplates;

// A value of a template is null, a bool, a long, a double, a string, or one of these. They do not change.

/// <summary>How a container is printed.</summary>
enum GoPrinting
{
    /// <summary>As Go's fmt prints it.</summary>
    Plain,

    /// <summary>As JSON: Ollama gives these types a String method.</summary>
    Json,

    /// <summary>A list of one element as that element, in JSON too: the type of a property.</summary>
    Alone,
}

/// <summary>A slice. A nil one has no elements, and is null in JSON.</summary>
sealed record GoList(IReadOnlyList<object?> Items, GoPrinting Printing = GoPrinting.Plain, bool IsNil = false)
{
    public static readonly GoList Nil = new([], IsNil: true);
}

/// <summary>A map with names as keys, in the order in which Go ranges over it: sorted.</summary>
sealed class GoMap
{
    readonly Dictionary<string, object?> _values;

    public GoMap(IEnumerable<KeyValuePair<string, object?>> entries, GoPrinting printing = GoPrinting.Plain)
    {
        Entries = [.. entries.OrderBy(entry => entry.Key, StringComparer.Ordinal)];
        _values = Entries.ToDictionary(StringComparer.Ordinal);
        Printing = printing;
    }

    public IReadOnlyList<KeyValuePair<string, object?>> Entries { get; }

    public GoPrinting Printing { get; }

    /// <summary>The value of a key; null if there is none, as with Go's option missingkey=zero.</summary>
    public object? Find(string key) => _values.GetValueOrDefault(key);
}

/// <summary>A struct.</summary>
/// <param name="Type">Its name in errors.</param>
sealed record GoStruct(string Type, IReadOnlyList<GoField> Fields, GoPrinting Printing = GoPrinting.Plain)
{
    public bool TryFind(string name, [NotNullWhen(true)] out GoField? field)
    {
        field = Fields.FirstOrDefault(one => one.Name == name);
        return field is not null;
    }
}

/// <param name="JsonName">Its name in JSON.</param>
/// <param name="OmitsEmpty">JSON leaves it out where it is empty.</param>
sealed record GoField(string Name, string JsonName, object? Value, bool OmitsEmpty = false);

static class GoValue
{
    /// <summary>Whether a value counts as true in a condition.</summary>
    public static bool IsTrue(object? value) => value switch
    {
        null => false,
        bool truth => truth,
        long integer => integer != 0,
        double real => real != 0,
        string text => text.Length > 0,
        GoList list => list.Items.Count > 0,
        GoMap map => map.Entries.Count > 0,
        _ => true,
    };

    /// <summary>Go's name of the type, for errors.</summary>
    public static string TypeOf(object? value) => value switch
    {
        null => "nil",
        bool => "bool",
        long => "int",
        double => "float64",
        string => "string",
        GoList => "list",
        GoMap => "map",
        GoStruct one => one.Type,
        _ => throw new InvalidOperationException($"a template has no values of {value.GetType().Name}"),
    };
}
