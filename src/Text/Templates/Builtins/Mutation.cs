using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>Methods that would change a value: they are there, but calling one is a fault.</summary>
static class Mutation
{
    public static FunctionValue Refuse(Value self, string name) => new(name, (_, _) =>
        throw new TemplateFault($"'{name}' of '{self.TypeName}' is refused: a template may not change its values; make a new one, such as list + [item]"));
}
