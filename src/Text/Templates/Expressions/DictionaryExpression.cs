using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>{key: value, ...}</c>.</summary>
sealed class DictionaryExpression(int line, IReadOnlyList<(Expression Key, Expression Value)> entries) : Expression(line)
{
    protected override Value Compute(RenderContext context) =>
        new DictionaryValue(entries.Select(entry => KeyValuePair.Create(entry.Key.Evaluate(context), entry.Value.Evaluate(context))));
}
