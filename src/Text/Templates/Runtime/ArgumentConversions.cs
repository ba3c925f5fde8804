using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>Reads arguments of functions, methods, filters and tests; a wrong kind is a fault that names both.</summary>
static class ArgumentConversions
{
    public static Value Required(this Value? argument, string function, string parameter) =>
        argument ?? throw new TemplateFault($"{function}() needs the argument '{parameter}'");

    public static string AsText(this Value value, string function) =>
        value is StringValue text ? text.Text : throw WrongKind(value, function, "text");

    public static long AsInteger(this Value value, string function) =>
        value.TryGetInteger(out var integer) ? integer : throw WrongKind(value, function, "an integer");

    /// <summary>An integer that must make sense as a count or width.</summary>
    public static int AsCount(this Value value, string function) => (int)Math.Clamp(value.AsInteger(function), int.MinValue, int.MaxValue);

    static TemplateFault WrongKind(Value value, string function, string wanted) =>
        value is UndefinedValue undefined ? undefined.Fault() : new TemplateFault($"{function}() wants {wanted}, not '{value.TypeName}'");
}
