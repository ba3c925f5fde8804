using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Reads functions that a model may call, and the choice among them: OpenAI's `tools`, `tool_choice` and `parallel_tool_calls`.</summary>
static class ToolRules
{
    const int LongestName = 128;
    const string Choice = "tool_choice";

    /// <summary>Reads the fields of chat completions, where a function is an object in its tool, as in Ollama's API.</summary>
    public static ToolUse? ReadNested(FieldReader fields) => Read(fields, "function", ReadNestedFunction);

    /// <summary>Reads the fields of the Responses API, where a function's fields are the tool's own.</summary>
    public static ToolUse? ReadFlat(FieldReader fields) => Read(fields, "", (tool, enforced) => ReadFunction(tool, "parameters", enforced));

    /// <param name="nested">The field of a choice that holds the function's name; empty if the name is the choice's own field.</param>
    static ToolUse? Read(FieldReader fields, string nested, Func<FieldReader, bool, FunctionTool?> readFunction)
    {
        var (choice, named, allowed) = ReadChoice(fields, nested);
        var tools = fields.List("tools", ApiLimits.Tools) ?? [];
        var functions = ReadAll(fields, tools, tool =>
        {
            if (tool.Text("type") is { } type and not "function")
                tool.Refuse("type", $"'{tool.PathOf("type")}' must be \"function\", not '{JsonText.Shorten(type)}': this server runs no tools itself.");
            return readFunction(tool, choice is ToolChoice.Required);
        });
        var parallel = fields.Flag("parallel_tool_calls", otherwise: true);
        foreach (var name in allowed ?? []) CheckNamed(fields, Choice, functions, name);
        // The others are as if they were not there: the prompt does not tell of them either.
        if (allowed is not null) functions.RemoveAll(function => !allowed.Contains(function.Name));
        return Make(fields, Choice, functions, choice, named, parallel);
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
        else if (named is not null)
            CheckNamed(fields, choiceField, functions, named);
        return choice is { } made && functions.Count > 0 ? new ToolUse(functions, made, named, parallel) : null;
    }

    static void CheckNamed(FieldReader fields, string choiceField, IReadOnlyList<FunctionTool> functions, string name)
    {
        if (functions.All(function => function.Name != name))
            fields.Refuse(choiceField, $"'{choiceField}' names '{JsonText.Shorten(name)}', which 'tools' does not have.");
    }

    /// <param name="parametersField">What the schema of the arguments is called.</param>
    /// <param name="enforced">The answer must be a call, and a grammar holds it to the schema.</param>
    public static FunctionTool ReadFunction(FieldReader function, string parametersField, bool enforced)
    {
        var name = function.Text("name") ?? "";
        if (name.Length is 0 or > LongestName || !name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-' or '.'))
            function.Refuse("name",
                $"'{function.PathOf("name")}' must be 1 to {LongestName} letters, digits, '_', '-' or '.'; it is '{JsonText.Shorten(name)}'.");
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

    static ChoiceOfTools ReadChoice(FieldReader fields, string nested)
    {
        switch (fields.Find(Choice))
        {
            case null:
                return new(ToolChoice.Auto);
            case { ValueKind: JsonValueKind.Object }:
                var choice = fields.Fields(Choice)!;
                var read = choice.Text("type") switch
                {
                    "allowed_tools" => ReadAllowed(choice, nested),
                    null or "function" => new ChoiceOfTools(ToolChoice.Required, Named: ReadNamed(choice, nested)),
                    var other => Refuse(choice, "type", $"\"function\" or \"allowed_tools\", not '{JsonText.Shorten(other)}'"),
                };
                choice.ReportUnread();
                return read;
            default:
                return ReadMode(fields, Choice, "\"none\", \"auto\", \"required\" or an object that names a function");
        }
    }

    /// <param name="expected">What there may be, for errors.</param>
    static ChoiceOfTools ReadMode(FieldReader fields, string name, string expected) => fields.Text(name) switch
    {
        "auto" => new(ToolChoice.Auto),
        "none" => new(null),
        "required" => new(ToolChoice.Required),
        var other => Refuse(fields, name, $"{expected}, not '{JsonText.Shorten(other ?? "")}'"),
    };

    /// <summary>OpenAI's choice of some of the functions: none but these may be called, and if the mode is "required", one of them is.</summary>
    static ChoiceOfTools ReadAllowed(FieldReader choice, string nested)
    {
        const string inner = "allowed_tools";
        var allowed = nested.Length == 0 ? choice : choice.Fields(inner);
        if (allowed is null)
        {
            choice.Refuse(inner, $"'{choice.PathOf(inner)}' is required.");
            return default;
        }
        var mode = ReadMode(allowed, "mode", "\"auto\" or \"required\"");
        var names = new List<string>();
        foreach (var (index, element) in (allowed.List("tools", ApiLimits.Tools) ?? []).Index())
        {
            if (allowed.Error is not null || allowed.Element("tools", index, element) is not { } tool) break;
            if (tool.Text("type") is { } type and not "function") Refuse(tool, "type", $"\"function\", not '{JsonText.Shorten(type)}'");
            if (ReadNamed(tool, nested) is { } name) names.Add(name);
            tool.ReportUnread();
        }
        if (names.Count == 0) allowed.Refuse("tools", $"'{allowed.PathOf("tools")}' must name at least one function.");
        if (nested.Length > 0) allowed.ReportUnread();
        return mode with { Allowed = names };
    }

    static string? ReadNamed(FieldReader choice, string nested)
    {
        var function = nested.Length == 0 ? choice : choice.Fields(nested);
        var name = function?.Text("name");
        var holder = nested.Length == 0 ? "name" : nested;
        if (name is null) choice.Refuse(holder, $"'{choice.PathOf(holder)}' must name a function.");
        if (nested.Length > 0) function?.ReportUnread();
        return name;
    }

    static ChoiceOfTools Refuse(FieldReader fields, string name, string expected)
    {
        fields.Refuse(name, $"'{fields.PathOf(name)}' must be {expected}.");
        return default;
    }

    /// <param name="Choice">Null: no calls.</param>
    /// <param name="Named">The one function that must be called.</param>
    /// <param name="Allowed">The functions that may be called; null: all of them.</param>
    readonly record struct ChoiceOfTools(ToolChoice? Choice, string? Named = null, IReadOnlyList<string>? Allowed = null);
}
