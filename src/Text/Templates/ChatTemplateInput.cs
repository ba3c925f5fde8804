using System.Collections.Immutable;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Text.Templates.Builtins;
using LlamaCluster.Text.Templates.Nodes;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates;

/// <summary>What a chat template is rendered with: the variables that Hugging Face's <c>apply_chat_template</c> passes.</summary>
public sealed record ChatTemplateInput
{
    /// <summary><c>messages</c>: an array of objects with at least <c>role</c> and mostly <c>content</c>, as in the OpenAI API.</summary>
    public required JsonNode Messages { get; init; }

    /// <summary><c>tools</c>: an array of tool definitions as in the OpenAI API; null if there are none.</summary>
    public JsonNode? Tools { get; init; }

    /// <summary><c>add_generation_prompt</c>: end the prompt with the words that open the assistant's turn.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary><c>bos_token</c>: the text of the token that opens every sequence; empty if the model has none.</summary>
    public string BosToken { get; init; } = "";

    /// <summary><c>eos_token</c>: the text of the token that ends a sequence; empty if the model has none.</summary>
    public string EosToken { get; init; } = "";

    /// <summary>The clock that <c>strftime_now</c> reads.</summary>
    public required DateTimeOffset Now { get; init; }

    /// <summary>Further variables by name, such as <c>date_string</c> or <c>builtin_tools</c>. They override the ones above.</summary>
    public IReadOnlyDictionary<string, JsonNode?> Variables { get; init; } = ImmutableDictionary<string, JsonNode?>.Empty;
}

/// <summary>The names that a template can use, built from its input.</summary>
static class TemplateVariables
{
    // The JSON is read back at once, so nothing needs escaping.
    static readonly JsonWriterOptions Unescaped = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>What the input holds as JSON, by name. Its size is what the limits of a rendering grow with.</summary>
    public static IReadOnlyList<(string Name, byte[] Json)> Serialize(ChatTemplateInput input) =>
    [
        Serialize("messages", input.Messages), Serialize("tools", input.Tools), Serialize("documents", null),
        .. input.Variables.Select(variable => Serialize(variable.Key, variable.Value)),
    ];

    /// <summary>The input's variables; behind them the functions of the language.</summary>
    public static Scope Of(ChatTemplateInput input, IReadOnlyList<(string Name, byte[] Json)> variables, ContentForms forms, Budget budget)
    {
        var functions = new Scope(null);
        foreach (var function in Functions.All) functions.Set(function.Name, function);
        var scope = new Scope(functions);
        scope.Set("add_generation_prompt", BooleanValue.Of(input.AddGenerationPrompt));
        scope.Set("bos_token", new StringValue(input.BosToken));
        scope.Set("eos_token", new StringValue(input.EosToken));
        foreach (var (name, json) in variables) scope.Set(name, Read(name, json, name == "messages" ? forms : ContentForms.AsGiven, budget));
        return scope;
    }

    static (string Name, byte[] Json) Serialize(string name, JsonNode? node)
    {
        try
        {
            using var json = new MemoryStream();
            using (var writer = new Utf8JsonWriter(json, Unescaped))
            {
                if (node is null) writer.WriteNullValue();
                else node.WriteTo(writer);
            }
            return (name, json.ToArray());
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            throw Unusable(name, failure);
        }
    }

    static Value Read(string name, byte[] json, ContentForms forms, Budget budget)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return forms.Apply(ValueOf(document.RootElement, budget), budget);
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or TemplateFault)
        {
            throw Unusable(name, failure);
        }
    }

    static ChatTemplateException Unusable(string name, Exception failure) =>
        new($"the variable '{name}' cannot be used: {failure.Message}", line: 1, raisedByTemplate: false, failure);

    static Value ValueOf(JsonElement element, Budget budget) => element.ValueKind switch
    {
        JsonValueKind.Object => new DictionaryValue(element.EnumerateObject().Select(property =>
            KeyValuePair.Create<Value, Value>(new StringValue(property.Name), ValueOf(property.Value, budget))), budget),
        JsonValueKind.Array => List(element, budget),
        JsonValueKind.String => new StringValue(element.GetString()!),
        JsonValueKind.Number => Number(element),
        JsonValueKind.True => BooleanValue.True,
        JsonValueKind.False => BooleanValue.False,
        _ => NoneValue.Instance,
    };

    static ListValue List(JsonElement array, Budget budget)
    {
        budget.MakeElements(array.GetArrayLength());
        return new ListValue([.. array.EnumerateArray().Select(element => ValueOf(element, budget))]);
    }

    /// <summary>As in Python, a number written with a point or an exponent is a float; any other number is an integer.</summary>
    static Value Number(JsonElement element)
    {
        var written = element.GetRawText();
        if (written.AsSpan().IndexOfAny('.', 'e', 'E') >= 0) return new FloatValue(double.Parse(written, CultureInfo.InvariantCulture));
        return element.TryGetInt64(out var integer) ? new IntegerValue(integer) : throw new TemplateFault($"{written} does not fit a 64-bit integer");
    }
}
