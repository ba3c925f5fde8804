using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Text.Answers;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>
/// The form that an answer must have. One that must call functions has calls as the model writes them, with arguments that keep to the functions' schemas.
/// One that must be JSON, but may call functions, is either.
/// </summary>
/// <param name="Source">Null where the answer may be anything.</param>
/// <param name="Loosened">
/// Functions whose schema cannot be enforced and need not be, because they are not strict: their arguments may be any object.
/// </param>
sealed record AnswerGrammar(GrammarSource? Source, IReadOnlyList<string> Loosened)
{
    static readonly JsonObject AnyObject = new() { ["type"] = "object" };

    public static AnswerGrammar None { get; } = new(null, []);

    /// <summary>The field that the form was asked for in, for reports.</summary>
    public string Field { get; init; } = "";

    /// <summary>Names in its schemas that are no keywords and have no effect.</summary>
    public IReadOnlyList<string> UnknownKeywords { get; init; } = [];

    /// <summary>Takes as long as compiling a grammar does, where it is not known yet.</summary>
    /// <param name="endIds">The model's tokens that end an answer.</param>
    public static ApiOutcome<AnswerGrammar> Of(CompletionRequest request, ToolFormat format, IReadOnlySet<int> endIds, GrammarCache known)
    {
        var asked = request.Settings.Grammar;
        var field = request.Tools is { Choice: ToolChoice.Required } ? "tool_choice" : asked?.Field;
        if (field is not null && !request.Settings.StopIds.Overlaps(endIds))
            return ApiError.Invalid(field, $"'{field}' needs an end of the answer: the model has no token for it, or 'ignore_eos' is set.");
        if (request.Tools is { Choice: ToolChoice.Required } required) return OfCalls(required, null, format, known);
        if (asked is null) return None;
        var (compiled, refusal) = known.Compile(asked.Source);
        if (refusal is not null) return ApiError.Invalid(asked.Field, $"'{asked.Field}' cannot be enforced: {refusal}.");
        return request.Tools is { } tools && SchemaOf(asked.Source) is { } schema
            ? OfCalls(tools, schema, format, known)
            : new AnswerGrammar(asked.Source, []) { Field = asked.Field, UnknownKeywords = compiled!.UnknownKeywords };
    }

    /// <param name="schema">Of an answer that is no call; null: there is none.</param>
    static ApiOutcome<AnswerGrammar> OfCalls(ToolUse tools, JsonNode? schema, ToolFormat format, GrammarCache known)
    {
        var callable = tools.Functions.Where(function => tools.Named is null || function.Name == tools.Named).ToList();
        var several = tools.Parallel && schema is null;
        var source = SourceOf(callable, several, format, schema);
        var (compiled, refusal) = known.Compile(source);
        if (compiled is not null) return Made(source, [], compiled);

        var loosened = new List<string>();
        foreach (var (index, function) in callable.ToArray().Index())
        {
            if (known.Compile(GrammarSource.OfSchema(function.Parameters)).Refusal is not { } problem) continue;
            if (function.Strict && tools.Choice is ToolChoice.Required)
                return ApiError.Unsupported("tools", $"The parameters of the strict function '{function.Name}' cannot be enforced: {problem}.");
            callable[index] = function with { Parameters = AnyObject };
            loosened.Add(function.Name);
        }
        source = SourceOf(callable, several, format, schema);
        (compiled, refusal) = known.Compile(source);
        return compiled is not null
            ? Made(source, loosened, compiled)
            : ApiError.Unsupported("tool_choice", $"Calls of the functions in 'tools' cannot be enforced: {refusal}.");
    }

    static AnswerGrammar Made(GrammarSource source, IReadOnlyList<string> loosened, Grammar compiled) =>
        new(source, loosened) { Field = "tools", UnknownKeywords = compiled.UnknownKeywords };

    /// <param name="several">There may be more than one call.</param>
    /// <param name="schema">Of an answer that is no call; null: there is none.</param>
    internal static GrammarSource SourceOf(IEnumerable<FunctionTool> functions, bool several, ToolFormat format, JsonNode? schema = null)
    {
        var (separator, most) = (format is ToolFormat.LlamaJson or ToolFormat.Pythonic ? "; " : "\n", several ? 0 : 1);
        var tags = functions.Select(function => Tag(function, format));
        return GrammarSource.OfTags(schema is null ? tags : tags.Append(new GrammarTag("", schema, "")), separator, most);
    }

    /// <summary>A name needs no escapes. Calls as Python writes them have no grammar; models that write them know JSON too.</summary>
    static GrammarTag Tag(FunctionTool function, ToolFormat format) => format switch
    {
        ToolFormat.FunctionTags => new($"<function={function.Name}>", function.Parameters, "</function>"),
        ToolFormat.Hermes => new($"<tool_call>\n{{\"name\": \"{function.Name}\", \"arguments\": ", function.Parameters, "}\n</tool_call>"),
        _ => new($"{{\"name\": \"{function.Name}\", \"parameters\": ", function.Parameters, "}"),
    };

    /// <summary>The schema of an answer that must be JSON; null for all other forms, which leave no room for calls.</summary>
    static JsonNode? SchemaOf(GrammarSource asked) => asked switch
    {
        { Kind: GrammarKind.JsonObject } => AnyObject,
        { Kind: GrammarKind.JsonSchema, Text: var text } => JsonNode.Parse(text),
        _ => null,
    };
}
