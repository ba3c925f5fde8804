using LlamaCluster.Model.Text.Templates.Runtime;
using LlamaCluster.Model.Text.Templates.Values;

namespace LlamaCluster.Model.Text.Templates.Expressions;

sealed class LiteralExpression(int line, Value value) : Expression(line)
{
    protected override Value Compute(RenderContext context) => value;
}
