using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Generation;

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

/// <summary>Tokens of a request. A prompt counts once, however many choices continue it; an answer counts with the stop id that ended it.</summary>
/// <param name="CachedTokens">How many of the prompts' tokens were not computed again.</param>
readonly record struct Usage(int PromptTokens, int CompletionTokens, int CachedTokens)
{
    public void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", PromptTokens);
        json.WriteNumber("completion_tokens", CompletionTokens);
        json.WriteNumber("total_tokens", PromptTokens + CompletionTokens);
        json.WriteStartObject("prompt_tokens_details");
        json.WriteNumber("cached_tokens", CachedTokens);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}

/// <summary>A choice put together from its deltas.</summary>
sealed class WholeChoice
{
    readonly StringBuilder _text = new();
    readonly List<TokenScore> _scores = [];

    public string Text => _text.ToString();

    public IReadOnlyList<TokenScore> Scores => _scores;

    public FinishReason? Finish { get; private set; }

    public void Add(ChoiceDelta delta)
    {
        _text.Append(delta.Text);
        _scores.AddRange(delta.Scores);
        Finish = delta.Finish;
    }
}

/// <summary>What is the same in every object of a response. <see cref="IResponseForm"/> writes what is inside.</summary>
/// <param name="Scored">Log-probabilities were asked for.</param>
/// <param name="UsageInChunks">A stream ends with its usage; other chunks then say that they have none.</param>
sealed record ResponseEnvelope(string Id, long Created, ServedModel Model, IResponseForm Form, bool Scored, bool UsageInChunks)
{
    /// <summary>The request named a service tier. Whichever it was, there is one.</summary>
    public bool NamesServiceTier { get; init; }

    /// <param name="soFar">What the chunk says of the usage; null: nothing.</param>
    public void WriteOpeningChunk(Utf8JsonWriter json, int index, Usage? soFar) => WriteChunk(json, index, null, soFar, Form.WriteOpening);

    /// <inheritdoc cref="WriteOpeningChunk"/>
    public void WriteDeltaChunk(Utf8JsonWriter json, ChoiceDelta delta, Usage? soFar)
        => WriteChunk(json, delta.Index, null, soFar, json => Form.WriteDelta(json, delta.Text, delta.Scores, Scored));

    /// <inheritdoc cref="WriteOpeningChunk"/>
    public void WriteFinishChunk(Utf8JsonWriter json, int index, FinishReason finish, Usage? soFar)
        => WriteChunk(json, index, finish, soFar, json => Form.WriteDelta(json, "", [], Scored));

    public void WriteUsageChunk(Utf8JsonWriter json, Usage usage)
    {
        WriteHead(json, Form.ChunkObject);
        json.WriteStartArray("choices");
        json.WriteEndArray();
        usage.WriteTo(json);
        json.WriteEndObject();
    }

    public void WriteWhole(Utf8JsonWriter json, IEnumerable<WholeChoice> choices, Usage usage)
    {
        WriteHead(json, Form.WholeObject);
        json.WriteStartArray("choices");
        foreach (var (index, choice) in choices.Index())
            WriteChoice(json, index, choice.Finish, json => Form.WriteWhole(json, choice.Text, choice.Scores, Scored));
        json.WriteEndArray();
        usage.WriteTo(json);
        json.WriteEndObject();
    }

    void WriteChunk(Utf8JsonWriter json, int index, FinishReason? finish, Usage? soFar, Action<Utf8JsonWriter> writeFields)
    {
        WriteHead(json, Form.ChunkObject);
        json.WriteStartArray("choices");
        WriteChoice(json, index, finish, writeFields);
        json.WriteEndArray();
        if (soFar is { } usage) usage.WriteTo(json);
        else if (UsageInChunks) json.WriteNull("usage");
        json.WriteEndObject();
    }

    void WriteHead(Utf8JsonWriter json, string kind)
    {
        json.WriteStartObject();
        json.WriteString("id", Id);
        json.WriteString("object", kind);
        json.WriteNumber("created", Created);
        json.WriteString("model", Model.Name);
        json.WriteString("system_fingerprint", Model.Fingerprint);
        if (NamesServiceTier) json.WriteString("service_tier", "default");
    }

    static void WriteChoice(Utf8JsonWriter json, int index, FinishReason? finish, Action<Utf8JsonWriter> writeFields)
    {
        json.WriteStartObject();
        json.WriteNumber("index", index);
        writeFields(json);
        json.WriteString("finish_reason", finish switch { FinishReason.Stop => "stop", FinishReason.Length => "length", _ => null });
        json.WriteEndObject();
    }
}
