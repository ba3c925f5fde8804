using LlamaCluster.Text.Templates.Builtins;
using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Nodes;

/// <summary>A part of a template that has a value.</summary>
abstract class Expression(int line)
{
    public int Line { get; } = line;

    public Value Evaluate(RenderContext context)
    {
        context.Enter(Line);
        var value = Compute(context);
        context.Leave();
        return value;
    }

    protected abstract Value Compute(RenderContext context);
}

sealed class LiteralExpression(int line, Value value) : Expression(line)
{
    protected override Value Compute(RenderContext context) => value;
}

/// <summary>A variable.</summary>
sealed class NameExpression(int line, string name) : Expression(line)
{
    public string Name => name;

    protected override Value Compute(RenderContext context) => context.Scope.TryGet(name, out var value) ? value : UndefinedValue.Name(name);
}

/// <summary><c>[a, b]</c> or <c>(a, b)</c>.</summary>
sealed class SequenceExpression(int line, IReadOnlyList<Expression> items, bool isTuple) : Expression(line)
{
    public IReadOnlyList<Expression> Items => items;

    public bool IsTuple => isTuple;

    protected override Value Compute(RenderContext context)
    {
        context.Budget.MakeElements(items.Count);
        var values = new Value[items.Count];
        for (var i = 0; i < values.Length; i++) values[i] = items[i].Evaluate(context);
        return isTuple ? new TupleValue(values) : new ListValue(values);
    }
}

/// <summary><c>{key: value, ...}</c>.</summary>
sealed class DictionaryExpression(int line, IReadOnlyList<(Expression Key, Expression Value)> entries) : Expression(line)
{
    protected override Value Compute(RenderContext context) =>
        new DictionaryValue(entries.Select(entry => KeyValuePair.Create(entry.Key.Evaluate(context), entry.Value.Evaluate(context))), context.Budget);
}

/// <summary><c>target.name</c>.</summary>
sealed class AttributeExpression(int line, Expression target, string name) : Expression(line)
{
    protected override Value Compute(RenderContext context) => Members.Attribute(target.Evaluate(context), name, context.Budget);
}

/// <summary><c>target[key]</c>.</summary>
sealed class ItemExpression(int line, Expression target, Expression key) : Expression(line)
{
    protected override Value Compute(RenderContext context) => Members.Item(target.Evaluate(context), key.Evaluate(context), context.Budget);
}

/// <summary><c>target[start:stop:step]</c>, each bound optional.</summary>
sealed class SliceExpression(int line, Expression target, Expression? start, Expression? stop, Expression? step) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var sliced = target.Evaluate(context);
        long? first = Bound(start, context), end = Bound(stop, context), stride = Bound(step, context);
        return sliced.Pick(length => SliceRange.Of(first, end, stride, length), context)
            ?? throw new TemplateFault($"'{sliced.TypeName}' object cannot be sliced");
    }

    static long? Bound(Expression? bound, RenderContext context) => bound?.Evaluate(context) switch
    {
        null or NoneValue => null,
        var value when value.TryGetInteger(out var index) => index,
        _ => throw new TemplateFault("slice indices must be integers or None"),
    };
}

/// <summary><c>-operand</c> or <c>+operand</c>.</summary>
sealed class SignExpression(int line, Expression operand, bool isNegative) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var value = operand.Evaluate(context);
        return isNegative ? Arithmetic.Negate(value) : Arithmetic.Affirm(value);
    }
}

/// <summary><c>left operator right</c> with one of + - * / // % **.</summary>
sealed class ArithmeticExpression(int line, string operation, Expression left, Expression right) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var first = left.Evaluate(context);
        return Arithmetic.Apply(operation, first, right.Evaluate(context), context);
    }
}

/// <summary><c>a ~ b ~ c</c>: the operands' texts, one after the other.</summary>
sealed class ConcatenationExpression(int line, IReadOnlyList<Expression> operands) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var text = new BoundedText(context.Budget);
        foreach (var operand in operands) operand.Evaluate(context).WriteText(text);
        return new StringValue(text.ToString());
    }
}

/// <summary><c>first operator operand ...</c>; a chain is true if every pair of neighbours is.</summary>
sealed class ComparisonExpression(int line, Expression first, IReadOnlyList<(string Operation, Expression Operand)> rest) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var left = first.Evaluate(context);
        foreach (var (operation, operand) in rest)
        {
            var right = operand.Evaluate(context);
            if (!Comparison.Holds(operation, left, right, context)) return BooleanValue.False;
            left = right;
        }
        return BooleanValue.True;
    }
}

/// <summary><c>not operand</c>.</summary>
sealed class NotExpression(int line, Expression operand) : Expression(line)
{
    protected override Value Compute(RenderContext context) => BooleanValue.Of(!operand.Evaluate(context).IsTrue);
}

/// <summary><c>left and right</c> or <c>left or right</c>: gives the operand that decides, not a boolean.</summary>
sealed class LogicalExpression(int line, Expression left, Expression right, bool isAnd) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var first = left.Evaluate(context);
        return first.IsTrue == isAnd ? right.Evaluate(context) : first;
    }
}

/// <summary><c>value if condition else other</c>.</summary>
sealed class ConditionalExpression(int line, Expression condition, Expression value, Expression? other) : Expression(line)
{
    protected override Value Compute(RenderContext context) =>
        condition.Evaluate(context).IsTrue ? value.Evaluate(context)
        : other?.Evaluate(context) ?? new UndefinedValue("the inline if-expression was false and has no else");
}
