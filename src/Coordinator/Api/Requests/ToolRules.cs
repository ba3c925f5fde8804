using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Reads functions that a model may call, and the choice among them: OpenAI's `tools`, `tool_choice` and `parallel_tool_calls`.</summary>
static class ToolRules
{
    const int LongestName = 128;

    /// <summary>Reads the fields of chat completions, where a function is an object in its tool, as in Ollama's API.</summary>
    public static ToolUse? ReadNested(FieldReader fields) => Read(fields, "function", ReadNestedFunction);

    /// <summary>Reads the fields of the Responses API, where a function's fields are the tool's own.</summary>
    public static ToolUse? ReadFlat(FieldReader fields) => Read(fields, "", (tool, enforced) => ReadFunction(tool, "parameters", enforced));

    /// <param name="nested">The field of a choice that holds the function's name; empty if the name is the choice's own field.</param>
    static ToolUse? Read(FieldReader fields, string nested, Func<FieldReader, bool, FunctionTool?> readFunction)
    {
        var (choice, named) = ReadChoice(fields, nested);
        var tools = fields.List("tools", ApiLimits.Tools) ?? [];
        var functions = ReadAll(fields, tools, tool =>
        {
            if (tool.Text("type") is { } type and not "function")
                tool.Refuse("type", $"'{tool.PathOf("type")}' must be \"function\", not '{JsonText.Shorten(type)}': this server runs no tools itself.");
            return readFunction(tool, choice is ToolChoice.Required);
        });
        var parallel = fields.Flag("parallel_tool_calls", otherwise: true);
        return Make(fields, "tool_choice", functions, choice, named, parallel);
    }

    /// <summary>Functions from a list of tools of any form; a name may be there once.</summary>
    public static List<FunctionTool> ReadAll(FieldReader fields, JsonElement[] tools, Func<FieldReader, FunctionTool?> read)
    {
        var functions = new List<FunctionTool>();
        foreach (var (index, element) in tools.Index())
        {
            if (fields.Error is not null || fields.Element("tools", index, element) is not { } tool) break;
            var function = read(tool);
            tool.ReportUnread();
            if (function is null) continue;
            if (functions.Any(other => other.Name == function.Name))
                fields.Refuse("tools", $"'tools' has two functions of the name '{JsonText.Shorten(function.Name)}'; a call could not tell which it means.");
            functions.Add(function);
        }
        return functions;
    }

    /// <param name="choice">Null: no calls.</param>
    /// <param name="choiceField">For errors.</param>
    public static ToolUse? Make(
        FieldReader fields, string choiceField, IReadOnlyList<FunctionTool> functions, ToolChoice? choice, string? named, bool parallel)
    {
        if (choice is ToolChoice.Required && functions.Count == 0)
            fields.Refuse(choiceField, $"'{choiceField}' asks for a call, but 'tools' names no function.");
        else if (named is not null && functions.All(function => function.Name != named))
            fields.Refuse(choiceField, $"'{choiceField}' names '{JsonText.Shorten(named)}', which 'tools' does not have.");
        return choice is { } made && functions.Count > 0 ? new ToolUse(functions, made, named, parallel) : null;
    }

    /// <param name="parametersField">What the schema of the arguments is called.</param>
    /// <param name="enforced">The answer must be a call, and a grammar holds it to the schema.</param>
    public static FunctionTool ReadFunction(FieldReader function, string parametersField, bool enforced)
    {
        var name = function.Text("name") ?? "";
        if (name.Length is 0 or > LongestName || !name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-' or '.'))
            function.Refuse("name", $"'{function.PathOf("name")}' must be 1 to {LongestName} letters, digits, '_', '-' or '.'; it is '{JsonText.Shorten(name)}'.");
        var description = function.Text("description");
        var strict = function.Flag("strict");
        if (!enforced) function.Hint("strict", Neutral.False, "has an effect only where the choice of tools asks for a call");
        function.Fields(parametersField);   // an object, or an error
        var parameters = function.Json(parametersField) as JsonObject ?? new JsonObject { ["type"] = "object", ["properties"] = new JsonObject() };
        return new FunctionTool(name, description, parameters, strict);
    }

    static FunctionTool? ReadNestedFunction(FieldReader tool, bool enforced)
    {
        if (tool.Fields("function") is not { } function)
        {
            tool.Refuse("function", $"'{tool.PathOf("function")}' is required.");
            return null;
        }
        var read = ReadFunction(function, "parameters", enforced);
        function.ReportUnread();
        return read;
    }

    static (ToolChoice? Choice, string? Named) ReadChoice(FieldReader fields, string nested)
    {
        const string field = "tool_choice";
        switch (fields.Find(field))
        {
            case null:
                return (ToolChoice.Auto, null);
            case { ValueKind: JsonValueKind.Object }:
                var choice = fields.Fields(field)!;
                if (choice.Text("type") is { } type and not "function")
                    choice.Refuse("type", $"'{choice.PathOf("type")}' must be \"function\", not '{JsonText.Shorten(type)}'.");
                var function = nested.Length == 0 ? choice : choice.Fields(nested);
                var name = function?.Text("name");
                if (name is null) choice.Refuse(nested.Length == 0 ? "name" : nested, $"'{field}' must name a function.");
                function?.ReportUnread();
                choice.ReportUnread();
                return (ToolChoice.Required, name);
            default:
                return fields.Text(field) switch
                {
                    "auto" => (ToolChoice.Auto, null),
                    "none" => (null, null),
                    "required" => (ToolChoice.Required, null),
                    var other => Refuse(fields, other),
                };
        }
    }

    static (ToolChoice?, string?) Refuse(FieldReader fields, string? other)
    {
        fields.Refuse("tool_choice", $"'tool_choice' must be \"none\", \"auto\", \"required\" or an object that names a function, not '{JsonText.Shorten(other ?? "")}'.");
        return default;
    }
}
