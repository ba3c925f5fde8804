using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

sealed class LiteralExpression(int line, Value value) : Expression(line)
{
    protected override Value Compute(RenderContext context) => value;
}
