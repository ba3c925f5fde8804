using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;

namespace LlamaCluster.Coordinator.Api.Sessions;

/// <summary>Sessions as JSON: in lists, one by one, and whole as they are exported.</summary>
static class SessionForm
{
    public const string ExportKind = "session.export";
    public const int ExportVersion = 1;

    static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>JSON as sessions keep it, text beyond ASCII as it is.</summary>
    public static string TextOf(JsonNode? node) => node?.ToJsonString(Plain) ?? "null";

    /// <summary>Variables of the chat template as sessions keep them; null: none.</summary>
    public static string? TextOf(IReadOnlyDictionary<string, JsonNode?> variables) => variables.Count == 0
        ? null
        : TextOf(new JsonObject(variables.Select(entry => KeyValuePair.Create(entry.Key, entry.Value?.DeepClone()))));

    /// <summary>One line of a list.</summary>
    public static void WriteEntry(Utf8JsonWriter json, SessionEntry entry)
    {
        json.WriteStartObject();
        WriteFields(json, entry);
        json.WriteEndObject();
    }

    public static void WriteSession(Utf8JsonWriter json, string id, SessionState state)
    {
        json.WriteStartObject();
        WriteFields(json, state.ToEntry(id));
        json.WriteNumber("dropped_messages", state.History.Dropped);
        json.WritePropertyName("metadata");
        json.WriteRawValue(state.Metadata ?? "{}");
        json.WriteStartObject("kv");
        json.WriteString("replica", state.History.Replica.Length == 0 ? null : state.History.Replica);
        json.WriteNumber("positions", state.History.ResidentPositions);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>All that a session is, to be read by a person or imported by another cluster.</summary>
    public static void WriteExport(Utf8JsonWriter json, string id, SessionState state)
    {
        var history = state.History;
        json.WriteStartObject();
        json.WriteString("object", ExportKind);
        json.WriteNumber("version", ExportVersion);
        json.WriteString("id", id);
        json.WriteNumber("created", state.Created.ToUnixTimeSeconds());
        json.WriteNumber("updated", state.Updated.ToUnixTimeSeconds());
        json.WriteNumber("turns_taken", state.TurnsTaken);
        json.WriteNumber("dropped_messages", history.Dropped);
        json.WritePropertyName("metadata");
        json.WriteRawValue(state.Metadata ?? "{}");
        json.WriteString("model_digest", history.Model);
        json.WritePropertyName("chat_template_kwargs");
        json.WriteRawValue(history.Variables ?? "{}");
        json.WriteStartArray("messages");
        foreach (var message in history.Messages) json.WriteRawValue(message);
        json.WriteEndArray();
        json.WriteStartArray("turns");
        foreach (var turn in history.Turns)
        {
            json.WriteStartObject();
            json.WriteNumber("messages", turn.Messages);
            json.WriteNumber("tokens", turn.Ids);
            json.WriteNumber("answer_characters", turn.AnswerCharacters);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("tokens");
        foreach (var token in history.Ids) json.WriteNumberValue(token);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Reads what <see cref="WriteExport"/> wrote. Whether the ids belong to the messages is checked elsewhere.</summary>
    public static SessionState ReadExport(FieldReader fields, ServedModel model, string client)
    {
        if (fields.Text("object") != ExportKind)
            fields.Refuse("object", $"'object' must be \"{ExportKind}\": a session as GET /v1/sessions/ID/export gives it.");
        if (fields.Integer("version", 1, int.MaxValue) is not ExportVersion)
            fields.Refuse("version", $"'version' must be {ExportVersion}, the only form that is known here.");
        foreach (var name in new[] { "id", "updated" }) fields.Bookkeeping(name);
        var ofTokens = model.OfTokens(fields.Text("model_digest"));
        var named = ofTokens ?? model;
        var messages = MessageRules.ReadAny(fields, named);
        var ids = fields.List("tokens", int.MaxValue) ?? [];
        var variables = ChatRequestRules.ReadVariables(fields);
        return new SessionState
        {
            Client = client,
            Created = DateTimeOffset.FromUnixTimeSeconds(fields.Integer("created", 0, 253_402_300_799) ?? 0),
            TurnsTaken = fields.Count("turns_taken", 0, int.MaxValue) ?? 0,
            Metadata = ReadMetadata(fields),
            History = new SessionHistory
            {
                Model = ofTokens?.TokensDigest ?? "",
                Messages = [.. messages.Select(TextOf)],
                Ids = ofTokens is null ? [] : [.. fields.TokenIds("tokens", ids, named.Tokenizer.VocabularySize)],
                Turns = [.. ReadTurns(fields, ofTokens is not null, messages.Count)],
                Variables = TextOf(variables),
                Dropped = fields.Count("dropped_messages", 0, int.MaxValue) ?? 0,
            },
        };
    }

    /// <summary>Notes of the client: an object of at most 16 KiB.</summary>
    public static string? ReadMetadata(FieldReader fields)
    {
        const int most = 16 << 10;
        if (fields.Find("metadata") is not { } given) return null;
        if (given.ValueKind != JsonValueKind.Object) fields.Refuse("metadata", $"'metadata' must be an object, not {JsonText.Excerpt(given)}.");
        var text = given.GetRawText();
        if (text.Length > most) fields.Refuse("metadata", $"'metadata' has {text.Length} characters; the most allowed is {most}.");
        return text;
    }

    static IEnumerable<SessionTurn> ReadTurns(FieldReader fields, bool withIds, int messages)
    {
        foreach (var (index, element) in (fields.List("turns", ApiLimits.Messages) ?? []).Index())
        {
            if (fields.Element("turns", index, element) is not { } turn) yield break;
            var read = new SessionTurn(
                turn.Count("messages", 1, messages) ?? 1,
                turn.Count("tokens", 0, int.MaxValue) is { } known && withIds ? known : 0,
                turn.Count("answer_characters", 0, int.MaxValue) ?? 0);
            turn.ReportUnread();
            yield return read;
        }
    }

    static void WriteFields(Utf8JsonWriter json, SessionEntry entry)
    {
        json.WriteString("id", entry.Id);
        json.WriteString("object", "session");
        json.WriteNumber("created", entry.Created.ToUnixTimeSeconds());
        json.WriteNumber("updated", entry.Updated.ToUnixTimeSeconds());
        if (entry.Expires is { } end) json.WriteNumber("expires", end.ToUnixTimeSeconds());
        else json.WriteNull("expires");
        json.WriteString("model_digest", entry.Model.Length == 0 ? null : entry.Model);
        json.WriteNumber("turns", entry.Turns);
        json.WriteNumber("messages", entry.Messages);
        json.WriteNumber("tokens", entry.Tokens);
    }
}
