using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>How one of OpenAI's two completion endpoints writes a choice: an element of "choices" without its index and finish_reason.</summary>
interface IResponseForm
{
    string IdPrefix { get; }

    /// <summary>"object" of a whole response.</summary>
    string WholeObject { get; }

    /// <summary>"object" of a chunk of a stream.</summary>
    string ChunkObject { get; }

    /// <summary>A stream begins with a chunk per choice that has no text yet.</summary>
    bool OpensStreams { get; }

    void WriteOpening(Utf8JsonWriter json);

    void WriteDelta(Utf8JsonWriter json, string text, IReadOnlyList<TokenScore> scores, bool scored);

    void WriteWhole(Utf8JsonWriter json, string text, IReadOnlyList<TokenScore> scores, bool scored);
}

/// <summary>Log-probabilities in JSON, which has no infinity.</summary>
static class Logprob
{
    /// <summary>OpenAI's word for "impossible".</summary>
    const float Impossible = -9999;

    public static float Finite(float logprob) => float.IsFinite(logprob) ? logprob : Impossible;
}
