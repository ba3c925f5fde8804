using System.Text.Json;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>Looks at what choices have gained before anybody is told.</summary>
interface IAnswerGate
{
    /// <summary>A choice has gained something. It is held back until enough has come to be judged, or the choice has ended.</summary>
    Task<GateOutcome> PassAsync(ChoiceDelta delta, CancellationToken cancellation);
}

/// <summary>What a gate lets through.</summary>
/// <param name="Delta">What may be told now; null: nothing yet. One that was judged unfit ends with <see cref="EndReason.ContentFilter"/>.</param>
/// <param name="Error">Not null: it could not be judged, and the request ends with this.</param>
readonly record struct GateOutcome(ChoiceDelta? Delta, ApiError? Error = null)
{
    /// <summary>The text is another one than the model's.</summary>
    public bool IsReplaced { get; init; }
}

/// <summary>Why something is not told.</summary>
/// <param name="Of">"prompt" or "answer".</param>
/// <param name="Categories">What is wrong with it, in the words of whoever has judged.</param>
sealed record FilterVerdict(string Of, IReadOnlyList<string> Categories)
{
    /// <summary>{"content_filter": {"of", "categories"}}, as a field of an object.</summary>
    public void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject("content_filter");
        json.WriteString("of", Of);
        json.WriteStartArray("categories");
        foreach (var category in Categories) json.WriteStringValue(category);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Header of answers: of what, and the categories.</summary>
    public const string Header = "X-LlamaCluster-Filtered";

    public const string Prompt = "prompt";
    public const string Answer = "answer";

    /// <summary>No category was named.</summary>
    public const string Unnamed = "unnamed";
}
