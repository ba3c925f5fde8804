using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>Filters whose result is a number.</summary>
static class NumberFilters
{
    public static readonly KeyValuePair<string, Filter>[] All =
    [
        new("int", ToInteger),
        new("float", ToFloat),
        new("abs", Absolute),
        new("round", Round),
        new("sum", Sum),
    ];

    static Value ToInteger(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("int", "default", "base");
        var radix = bound[1]?.AsCount("int") ?? 10;
        if (value is UndefinedValue undefined) throw undefined.Fault();
        if (value.TryGetInteger(out var integer)) return new IntegerValue(integer);
        if (value is StringValue text && NumberText.ParseInteger(text.Text, radix) is { } parsed) return new IntegerValue(parsed);
        var number = value is FloatValue real ? real.Number : value is StringValue written ? NumberText.ParseFloat(written.Text) : null;
        if (number is null || double.IsNaN(number.Value)) return bound[0] ?? new IntegerValue(0);
        return Math.Abs(number.Value) < long.MaxValue ? new IntegerValue((long)number.Value)
            : throw new TemplateFault($"{FloatText.Repr(number.Value)} does not fit a 64-bit integer");
    }

    static Value ToFloat(ValueContext context, Value value, CallArguments arguments)
    {
        var fallback = arguments.Bind("float", "default")[0] ?? new FloatValue(0);
        if (value is UndefinedValue undefined) throw undefined.Fault();
        if (value.TryGetNumber(out var number)) return new FloatValue(number);
        return value is StringValue text && NumberText.ParseFloat(text.Text) is { } parsed ? new FloatValue(parsed) : fallback;
    }

    static Value Absolute(ValueContext context, Value value, CallArguments arguments)
    {
        arguments.Bind("abs");
        return value switch
        {
            FloatValue real => new FloatValue(Math.Abs(real.Number)),
            _ when value.TryGetInteger(out var integer) => integer < 0 ? Arithmetic.Negate(new IntegerValue(integer)) : new IntegerValue(integer),
            UndefinedValue undefined => throw undefined.Fault(),
            _ => throw new TemplateFault($"bad operand type for abs(): '{value.TypeName}'"),
        };
    }

    static Value Round(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("round", "precision", "method");
        var decimals = bound[0]?.AsCount("round") ?? 0;
        var method = bound[1] is null ? "common" : bound[1]!.AsText("round");
        if (method is not ("common" or "ceil" or "floor")) throw new TemplateFault("round() knows the methods common, ceil and floor");
        if (!value.TryGetNumber(out var number))
            throw (value as UndefinedValue)?.Fault() ?? new TemplateFault($"type {value.TypeName} doesn't define __round__ method");
        context.Budget.Spend(FloatText.StepsFor(Math.Clamp(decimals, -330, 330)));
        if (method == "common" && value.TryGetInteger(out var integer))
            return decimals >= 0 ? new IntegerValue(integer) : new IntegerValue((long)FloatText.Round(integer, decimals));
        if (method == "common") return new FloatValue(FloatText.Round(number, decimals));
        var scale = Math.Pow(10, decimals);
        return new FloatValue((method == "ceil" ? Math.Ceiling(number * scale) : Math.Floor(number * scale)) / scale);
    }

    static Value Sum(ValueContext context, Value value, CallArguments arguments)
    {
        var bound = arguments.Bind("sum", "attribute", "start");
        var path = bound[0] is null or NoneValue ? null : AttributePath.Of(bound[0]!, context.Budget);
        var sum = bound[1] ?? new IntegerValue(0);
        if (sum is StringValue) throw new TemplateFault("sum() can't sum strings; use join");
        foreach (var element in context.Elements(value))
            sum = Arithmetic.Apply("+", sum, path?.Read(element, context.Budget) ?? element, context);
        return sum;
    }
}
