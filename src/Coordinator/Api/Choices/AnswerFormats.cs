using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>What the answers of a model may hold besides words, by its chat template and the operator's options.</summary>
sealed class AnswerFormats(ServedModel model, ApiOptions options)
{
    static readonly HashSet<string> NoFunctions = [];

    readonly bool _reasons = options.ReasoningParser switch
    {
        ReasoningParser.None => false,
        ReasoningParser.Think => true,
        _ => model.Template is { KnowsReasoning: true },
    };

    /// <summary>How the model writes calls.</summary>
    public ToolFormat ToolFormat => options.ToolParser ?? model.Template?.ToolFormat ?? ToolFormat.Hermes;

    /// <returns>Null if there is nothing to look for.</returns>
    public AnswerFormat? Of(CompletionRequest request, EncodedPrompt prompt)
    {
        // What a grammar enforces begins at once.
        var isFree = request.Settings.Grammar is null && request.Tools is not { Choice: ToolChoice.Required };
        var reasoning = request.MayReason && _reasons && isFree ? PlaceOf(prompt) : ReasoningPlace.None;
        if (request.Tools is { } tools) return new(ToolFormat, tools.Names, SingleCall: !tools.Parallel, reasoning);
        return reasoning is ReasoningPlace.None ? null : new(null, NoFunctions, SingleCall: false, reasoning);
    }

    /// <summary>Some templates open the reasoning in the prompt, and some close it there too, to have none.</summary>
    static ReasoningPlace PlaceOf(EncodedPrompt prompt)
        => prompt.Text.AsSpan().TrimEnd().EndsWith("<think>", StringComparison.Ordinal) ? ReasoningPlace.Opened : ReasoningPlace.MayBegin;
}
