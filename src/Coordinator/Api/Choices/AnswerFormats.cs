using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>What the answers of a model may hold besides words, by its chat template and the operator's options.</summary>
sealed class AnswerFormats(ServedModel model, ApiOptions options)
{
    static readonly HashSet<string> NoFunctions = [];

    /// <summary>How the model, under the name that was asked for, writes calls.</summary>
    public ToolFormat ToolFormatOf(ServedModel named) => options.ToolParser ?? named.Template?.ToolFormat ?? ToolFormat.Hermes;

    /// <returns>Null if there is nothing to look for.</returns>
    public AnswerFormat? Of(CompletionRequest request, EncodedPrompt prompt)
    {
        // What a grammar enforces begins at once.
        var isFree = request.Settings.Grammar is null && request.Tools is not { Choice: ToolChoice.Required };
        var named = model.Named(request.Adapter);
        var reasoning = request.MayReason && Reasons(named) && isFree ? PlaceOf(prompt) : ReasoningPlace.None;
        if (request.Tools is { } tools) return new(ToolFormatOf(named), tools.Names, SingleCall: !tools.Parallel, reasoning);
        return reasoning is ReasoningPlace.None ? null : new(null, NoFunctions, SingleCall: false, reasoning);
    }

    bool Reasons(ServedModel named) => options.ReasoningParser switch
    {
        ReasoningParser.None => false,
        ReasoningParser.Think => true,
        _ => named.Template is { KnowsReasoning: true },
    };

    /// <summary>Some templates open the reasoning in the prompt, and some close it there too, to have none.</summary>
    static ReasoningPlace PlaceOf(EncodedPrompt prompt)
        => prompt.Text.AsSpan().TrimEnd().EndsWith("<think>", StringComparison.Ordinal) ? ReasoningPlace.Opened : ReasoningPlace.MayBegin;
}
