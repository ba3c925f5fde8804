using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>The methods of a mapping. Those that would change it are refused, as in the sandbox that templates are written for.</summary>
static class DictionaryMethods
{
    public static Value? Find(DictionaryValue self, string name) => name switch
    {
        "get" => new FunctionValue(name, (_, arguments) => Get(self, arguments)),
        "items" => Plain(name, () => new DictionaryViewValue("dict_items", [.. Items(self)])),
        "keys" => Plain(name, () => new DictionaryViewValue("dict_keys", [.. self.Entries.Keys])),
        "values" => Plain(name, () => new DictionaryViewValue("dict_values", [.. self.Entries.Values])),
        "copy" => Plain(name, () => self),
        "clear" or "pop" or "popitem" or "setdefault" or "update" => Mutation.Refuse(self, name),
        _ => null,
    };

    public static IEnumerable<Value> Items(DictionaryValue dictionary) => dictionary.Entries.Select(entry => new TupleValue(entry.Key, entry.Value));

    static Value Get(DictionaryValue self, CallArguments arguments)
    {
        if (arguments.Named.Count > 0) throw new TemplateFault("get() takes no keyword arguments");
        var bound = arguments.Bind("get", "key", "default");
        return self.GetItem(KeyEquality.Checked(bound[0].Required("get", "key"))) ?? bound[1] ?? NoneValue.Instance;
    }

    static FunctionValue Plain(string name, Func<Value> body) => new(name, (context, arguments) =>
    {
        arguments.Bind(name);
        var value = body();
        context.Budget.Spend(value.Count ?? 0);
        return value;
    });
}
