using System.Text.Json.Serialization;
using LlamaCluster.Sessions.Grains;

namespace LlamaCluster.Sessions.Responses;

/// <summary>A response of OpenAI's Responses API as it is kept: what can be asked for again, and the conversation that a later one goes on from.</summary>
/// <param name="Owner">Who may know of it; "" where nobody has a name.</param>
/// <param name="Response">The response object as it was answered, JSON.</param>
/// <param name="Input">The items that came with its request, a JSON array.</param>
/// <param name="Instructions">So many of the history's first messages hold for this response only.</param>
/// <param name="History">All that was said up to its end, with the ids that the model read and wrote.</param>
public sealed record ResponseState(
    string Id, string Owner, DateTimeOffset Created, string Response, string Input, int Instructions, SessionHistory History)
{
    /// <summary>The version of this form.</summary>
    public const int CurrentVersion = 1;

    public int Version { get; init; } = CurrentVersion;

    /// <summary>When the first response of the conversation was made. The chat template takes it for the time of day.</summary>
    public DateTimeOffset Begun { get; init; } = Created;

    [JsonIgnore] public IReadOnlyList<string> Conversation => History.Messages[Instructions..];
}
