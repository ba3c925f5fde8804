using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>
/// What <c>value.name</c> and <c>value[key]</c> find. A value's methods are Python's, found by its type. Methods that would change the
/// value are refused, as in the sandbox that templates are written for.
/// </summary>
static class Members
{
    /// <summary>An attribute as <c>value.name</c> finds it: Python's own first, then a key.</summary>
    public static Value Attribute(Value value, string name, Budget budget) =>
        Find(value, name, budget) ?? value.GetItem(new StringValue(name), budget) ?? UndefinedValue.Missing(value, new StringValue(name));

    /// <summary>An element as <c>value[key]</c> finds it: a key or index first, then an attribute of that name.</summary>
    public static Value Item(Value value, Value key, Budget budget) =>
        value.GetItem(key, budget) ?? (key is StringValue name ? Find(value, name.Text, budget) : null) ?? UndefinedValue.Missing(value, key);

    /// <summary>An attribute or method; null if there is none.</summary>
    public static Value? Find(Value value, string name, Budget budget)
    {
        budget.SpendOnText(name.Length); // a name can be any text that a template makes
        return value.GetAttribute(name) ?? value switch
        {
            StringValue text => StringMethods.Find(text, name),
            SequenceValue sequence => SequenceMethod(sequence, name),
            DictionaryValue dictionary => DictionaryMethod(dictionary, name),
            _ => null,
        };
    }

    static FunctionValue? SequenceMethod(SequenceValue self, string name) => name switch
    {
        "index" => new FunctionValue(name, (context, arguments) => Index(self, context, arguments)),
        "count" => new FunctionValue(name, (context, arguments) => Count(self, context, arguments)),
        "copy" when self is ListValue => new FunctionValue(name, (_, _) => self),
        "append" or "clear" or "extend" or "insert" or "pop" or "remove" or "reverse" or "sort" when self is ListValue => Refused(self, name),
        _ => null,
    };

    static FunctionValue? DictionaryMethod(DictionaryValue self, string name) => name switch
    {
        "get" => new FunctionValue(name, (context, arguments) => Get(self, arguments, context.Budget)),
        "items" => View(name, self, "dict_items", self.Items()),
        "keys" => View(name, self, "dict_keys", self.Keys),
        "values" => View(name, self, "dict_values", self.Values),
        "copy" => new FunctionValue(name, (_, arguments) =>
        {
            arguments.Bind(name);
            return self;
        }),
        "clear" or "pop" or "popitem" or "setdefault" or "update" => Refused(self, name),
        _ => null,
    };

    static Value Index(SequenceValue self, ValueContext context, CallArguments arguments)
    {
        var wanted = arguments.Bind("index", "value")[0].Required("index", "value");
        var index = Array.FindIndex(self.Items, item => Comparison.AreEqual(item, wanted, context.Budget));
        return index >= 0 ? new IntegerValue(index) : throw new TemplateFault("index(): the value is not in the list");
    }

    static Value Count(SequenceValue self, ValueContext context, CallArguments arguments)
    {
        var wanted = arguments.Bind("count", "value")[0].Required("count", "value");
        return new IntegerValue(self.Items.Count(item => Comparison.AreEqual(item, wanted, context.Budget)));
    }

    static Value Get(DictionaryValue self, CallArguments arguments, Budget budget)
    {
        if (arguments.Named.Count > 0) throw new TemplateFault("get() takes no keyword arguments");
        var bound = arguments.Bind("get", "key", "default");
        return self.TryGet(KeyEquality.Checked(bound[0].Required("get", "key"), budget), budget, out var value) ? value : bound[1] ?? NoneValue.Instance;
    }

    static FunctionValue View(string name, DictionaryValue self, string typeName, IEnumerable<Value> elements) => new(name, (context, arguments) =>
    {
        arguments.Bind(name);
        context.Budget.MakeElements(self.Entries.Count);
        return new DictionaryViewValue(typeName, [.. elements]);
    });

    /// <summary>The method is there, but calling it is a fault.</summary>
    static FunctionValue Refused(Value self, string name) => new(name, (_, _) =>
        throw new TemplateFault($"'{name}' of '{self.TypeName}' is refused: a template may not change its values; make a new one, such as list + [item]"));
}
