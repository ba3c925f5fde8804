using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>What is the same in every object of a response, around what <see cref="IResponseForm"/> writes.</summary>
/// <param name="Scored">Log-probabilities were asked for.</param>
/// <param name="UsageInChunks">A stream ends with its usage; other chunks then say that they have none.</param>
sealed record ResponseEnvelope(string Id, long Created, ServedModel Model, IResponseForm Form, bool Scored, bool UsageInChunks)
{
    public void WriteOpeningChunk(Utf8JsonWriter json, int index) => WriteChunk(json, index, null, Form.WriteOpening);

    public void WriteDeltaChunk(Utf8JsonWriter json, ChoiceDelta delta)
        => WriteChunk(json, delta.Index, null, json => Form.WriteDelta(json, delta.Text, delta.Scores, Scored));

    public void WriteFinishChunk(Utf8JsonWriter json, int index, FinishReason finish)
        => WriteChunk(json, index, finish, json => Form.WriteDelta(json, "", [], Scored));

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

    void WriteChunk(Utf8JsonWriter json, int index, FinishReason? finish, Action<Utf8JsonWriter> writeFields)
    {
        WriteHead(json, Form.ChunkObject);
        json.WriteStartArray("choices");
        WriteChoice(json, index, finish, writeFields);
        json.WriteEndArray();
        if (UsageInChunks) json.WriteNull("usage");
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
