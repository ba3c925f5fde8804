using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>The operators + - * / // % ** by Python's rules: <c>/</c> gives a float, and a remainder has the divisor's sign.</summary>
static class Arithmetic
{
    public static Value Apply(string operation, Value left, Value right, ValueContext context)
    {
        if ((left as UndefinedValue ?? right as UndefinedValue) is { } undefined) throw undefined.Fault();
        try
        {
            return Join(operation, left, right, context) ?? Repeat(operation, left, right, context) ?? Calculate(operation, left, right)
                ?? throw new TemplateFault($"unsupported operand type(s) for {operation}: '{left.TypeName}' and '{right.TypeName}'");
        }
        catch (OverflowException)
        {
            throw new TemplateFault($"the result of {operation} does not fit a 64-bit integer");
        }
    }

    public static Value Negate(Value value) => value switch
    {
        FloatValue real => new FloatValue(-real.Number),
        _ when value.TryGetInteger(out var integer) => integer != long.MinValue ? new IntegerValue(-integer)
            : throw new TemplateFault("the result of - does not fit a 64-bit integer"),
        UndefinedValue undefined => throw undefined.Fault(),
        _ => throw new TemplateFault($"bad operand type for unary -: '{value.TypeName}'"),
    };

    public static Value Affirm(Value value) => value switch
    {
        FloatValue => value,
        _ when value.TryGetInteger(out var integer) => new IntegerValue(integer),
        UndefinedValue undefined => throw undefined.Fault(),
        _ => throw new TemplateFault($"bad operand type for unary +: '{value.TypeName}'"),
    };

    static Value? Join(string operation, Value left, Value right, ValueContext context)
    {
        if (operation == "%" && left is StringValue format) return PercentFormat.Apply(format, right, context);
        if (operation != "+") return null;
        switch (left, right)
        {
            case (StringValue a, StringValue b) when a.IsMarkup || b.IsMarkup:
                var escaped = new BoundedText(context.Budget).Append(a.Escape(context.Budget)).Append(b.Escape(context.Budget));
                return new StringValue(escaped.ToString(), isMarkup: true);
            case (StringValue a, StringValue b):
                context.Budget.MakeText((long)a.Text.Length + b.Text.Length);
                return new StringValue(a.Text + b.Text);
            case (SequenceValue a, SequenceValue b) when a.GetType() == b.GetType():
                context.Budget.MakeElements((long)a.Items.Length + b.Items.Length);
                return a.With([.. a.Items, .. b.Items]);
            case (StringValue or SequenceValue, _):
                throw new TemplateFault($"can only concatenate {left.TypeName} (not \"{right.TypeName}\") to {left.TypeName}");
            default:
                return null;
        }
    }

    static Value? Repeat(string operation, Value left, Value right, ValueContext context)
    {
        if (operation != "*") return null;
        if (right is StringValue or SequenceValue) (left, right) = (right, left);
        if (left is not (StringValue or SequenceValue) || !right.TryGetInteger(out var times)) return null;
        times = Math.Clamp(times, 0, int.MaxValue);
        if (left is StringValue text)
        {
            context.Budget.MakeText(text.Text.Length * times);
            return new StringValue(string.Concat(Enumerable.Repeat(text.Text, text.Text.Length == 0 ? 0 : (int)times)));
        }
        var items = ((SequenceValue)left).Items;
        context.Budget.MakeElements(items.Length * times);
        return ((SequenceValue)left).With([.. Enumerable.Repeat(items, items.Length == 0 ? 0 : (int)times).SelectMany(item => item)]);
    }

    static Value? Calculate(string operation, Value left, Value right)
    {
        if (left.TryGetInteger(out var i) && right.TryGetInteger(out var j) && operation != "/" && !(operation == "**" && j < 0))
            return new IntegerValue(OnIntegers(operation, i, j));
        return left.TryGetNumber(out var x) && right.TryGetNumber(out var y) ? new FloatValue(OnFloats(operation, x, y)) : null;
    }

    static long OnIntegers(string operation, long left, long right) => operation switch
    {
        "+" => checked(left + right),
        "-" => checked(left - right),
        "*" => checked(left * right),
        "**" => Power(left, right),
        _ when right == 0 => throw new TemplateFault("integer division or modulo by zero"),
        "//" => checked(left / right) - (left % right != 0 && (left < 0) != (right < 0) ? 1 : 0),
        "%" when right == -1 => 0,
        "%" => left % right is var rest && rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest,
        _ => throw new ArgumentOutOfRangeException(nameof(operation), operation, "not an operator"),
    };

    static long Power(long number, long exponent)
    {
        if (number is 0 or 1 or -1) return exponent == 0 ? 1 : number == -1 && exponent % 2 == 0 ? 1 : number;
        long result = 1;
        for (var i = 0L; i < exponent; i++) result = checked(result * number);
        return result;
    }

    static double OnFloats(string operation, double left, double right)
    {
        if (right == 0 && operation is "/" or "//" or "%") throw new TemplateFault(operation == "/" ? "division by zero" : "float divmod()");
        return operation switch
        {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => left / right,
            "//" => Math.Floor((left - Remainder(left, right)) / right),
            "%" => Remainder(left, right),
            "**" when left == 0 && right < 0 => throw new TemplateFault("0.0 cannot be raised to a negative power"),
            "**" when left < 0 && right != Math.Floor(right) => throw new TemplateFault("a negative number cannot be raised to a fractional power"),
            "**" => Math.Pow(left, right),
            _ => throw new ArgumentOutOfRangeException(nameof(operation), operation, "not an operator"),
        };
    }

    static double Remainder(double left, double right)
    {
        var rest = left % right;
        if (rest != 0) return (rest < 0) != (right < 0) ? rest + right : rest;
        return Math.CopySign(0, right);
    }
}
