using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>The methods of a list or tuple. Those that would change it are refused.</summary>
static class SequenceMethods
{
    public static Value? Find(SequenceValue self, string name) => name switch
    {
        "index" => new FunctionValue(name, (context, arguments) => Index(self, context, arguments)),
        "count" => new FunctionValue(name, (context, arguments) => Count(self, context, arguments)),
        "copy" when self is ListValue => new FunctionValue(name, (_, _) => self),
        "append" or "clear" or "extend" or "insert" or "pop" or "remove" or "reverse" or "sort" when self is ListValue => Mutation.Refuse(self, name),
        _ => null,
    };

    static Value Index(SequenceValue self, RenderContext context, CallArguments arguments)
    {
        var wanted = arguments.Bind("index", "value")[0].Required("index", "value");
        var index = Array.FindIndex(self.Items, item => Comparison.AreEqual(item, wanted, context.Budget));
        return index >= 0 ? new IntegerValue(index) : throw new TemplateFault("index(): the value is not in the list");
    }

    static Value Count(SequenceValue self, RenderContext context, CallArguments arguments)
    {
        var wanted = arguments.Bind("count", "value")[0].Required("count", "value");
        return new IntegerValue(self.Items.Count(item => Comparison.AreEqual(item, wanted, context.Budget)));
    }
}
