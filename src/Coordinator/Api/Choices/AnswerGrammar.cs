using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Text.Answers;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>
/// The form that an answer must have. One that must call functions has calls as the model writes them, with arguments that keep to the functions' schemas.
/// </summary>
/// <param name="Source">Null where the answer may be anything.</param>
/// <param name="Loosened">
/// Functions whose schema cannot be enforced and need not be, because they are not strict: their arguments may be any object.
/// </param>
sealed record AnswerGrammar(GrammarSource? Source, IReadOnlyList<string> Loosened)
{
    public static AnswerGrammar None { get; } = new(null, []);

    /// <summary>Takes as long as compiling a grammar does, where it is not known yet.</summary>
    public static ApiOutcome<AnswerGrammar> Of(CompletionRequest request, ToolFormat format, GrammarCache known)
    {
        if (request.Tools is { Choice: ToolChoice.Required } tools) return OfCalls(tools, format, known);
        if (request.Settings.Grammar is not { } asked) return None;
        return known.Compile(asked.Source).Refusal is { } refusal
            ? ApiError.Invalid(asked.Field, $"'{asked.Field}' cannot be enforced: {refusal}.")
            : new AnswerGrammar(asked.Source, []);
    }

    static ApiOutcome<AnswerGrammar> OfCalls(ToolUse tools, ToolFormat format, GrammarCache known)
    {
        var callable = tools.Functions.Where(function => tools.Named is null || function.Name == tools.Named).ToList();
        var source = SourceOf(callable, tools.Parallel, format);
        if (known.Compile(source).Refusal is not { } refusal) return new AnswerGrammar(source, []);

        var loosened = new List<string>();
        foreach (var (index, function) in callable.Index())
        {
            if (known.Compile(GrammarSource.OfSchema(function.Parameters)).Refusal is not { } problem) continue;
            if (function.Strict)
                return ApiError.Invalid("tools", $"The parameters of the strict function '{function.Name}' cannot be enforced: {problem}.", "unsupported_parameter");
            callable[index] = function with { Parameters = new JsonObject { ["type"] = "object" } };
            loosened.Add(function.Name);
        }
        source = SourceOf(callable, tools.Parallel, format);
        refusal = known.Compile(source).Refusal;
        return refusal is null
            ? new AnswerGrammar(source, loosened)
            : ApiError.Invalid("tool_choice", $"'tool_choice' asks for a call, which cannot be enforced: {refusal}.", "unsupported_parameter");
    }

    /// <param name="several">There may be more than one call.</param>
    internal static GrammarSource SourceOf(IEnumerable<FunctionTool> functions, bool several, ToolFormat format)
    {
        var (separator, most) = (format is ToolFormat.LlamaJson or ToolFormat.Pythonic ? "; " : "\n", several ? 0 : 1);
        return GrammarSource.OfTags(functions.Select(function => Tag(function, format)), separator, most);
    }

    /// <summary>A name needs no escapes. Calls as Python writes them have no grammar; models that write them know JSON too.</summary>
    static GrammarTag Tag(FunctionTool function, ToolFormat format) => format switch
    {
        ToolFormat.FunctionTags => new($"<function={function.Name}>", function.Parameters, "</function>"),
        ToolFormat.Hermes => new($"<tool_call>\n{{\"name\": \"{function.Name}\", \"arguments\": ", function.Parameters, "}\n</tool_call>"),
        _ => new($"{{\"name\": \"{function.Name}\", \"parameters\": ", function.Parameters, "}"),
    };
}
