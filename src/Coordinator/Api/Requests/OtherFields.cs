using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// Fields that clients are known to send and that have no effect here. Notes of the client for itself are accepted. Wishes that leave the
/// meaning of an answer as it is are reported as ignored. Settings that change the meaning are accepted only with a value that changes nothing.
/// </summary>
static class OtherFields
{
    const string Unsupported = "is not supported";
    const string OldTools = "is not supported: use 'tools'";

    static readonly string[] Bookkeeping = ["metadata", "prompt_cache_key", "safety_identifier"];

    static readonly (string Name, Func<JsonElement, bool> ChangesNothing, string Reason)[] Hints =
    [
        ("store", Neutral.False, "other than false is not supported: nothing is stored"),
        ("service_tier", Neutral.Text("auto", "default"), "must be \"auto\" or \"default\": there are no other tiers"),
        ("prediction", Neutral.Never, Unsupported),
        ("reasoning_effort", Neutral.Never, "is not supported: the model itself decides for how long it reasons"),
        ("verbosity", Neutral.Never, Unsupported),
        ("prompt_cache_retention", Neutral.Never, Unsupported),
    ];

    static readonly (string Name, Func<JsonElement, bool> ChangesNothing, string Reason)[] Shared =
    [
        ("prompt_logprobs", Neutral.Never, "is not supported: use 'echo' and 'logprobs' of /v1/completions"),
        ("truncate_prompt_tokens", Neutral.Never, Unsupported),
        ("use_beam_search", Neutral.False, Unsupported),
        ("early_stopping", Neutral.False, "other than false is not supported: there is no beam search"),
        ("length_penalty", Neutral.One, Unsupported),
        ("bad_words", Neutral.EmptyList, Unsupported),
        ("allowed_token_ids", Neutral.Never, Unsupported),
        ("include_stop_str_in_output", Neutral.False, Unsupported),
        ("skip_special_tokens", Neutral.True, "other than true is not supported"),
        ("spaces_between_special_tokens", Neutral.Boolean, Unsupported),
        ("return_token_ids", Neutral.False, Unsupported),
        ("return_tokens_as_token_ids", Neutral.False, Unsupported),
    ];

    static readonly (string Name, Func<JsonElement, bool> ChangesNothing, string Reason)[] ChatOnly =
    [
        ("function_call", Neutral.Text("none", "auto"), OldTools),
        ("modalities", Neutral.Only("text"), "other than [\"text\"] is not supported: this is a text model"),
        ("audio", Neutral.Never, "is not supported: this is a text model"),
        ("web_search_options", Neutral.Never, Unsupported),
        ("echo", Neutral.False, "is for /v1/completions only"),
        ("chat_template", Neutral.Never, "is not supported: the model's own template is used"),
        ("documents", Neutral.EmptyList, Unsupported),
    ];

    /// <returns>The model under the name that the request asks for.</returns>
    public static ServedModel ReadShared(FieldReader fields, ServedModel model)
    {
        ReadAdapter(fields, model);
        foreach (var name in Bookkeeping) fields.Bookkeeping(name);
        foreach (var (name, changesNothing, reason) in Hints) fields.Hint(name, changesNothing, reason);
        foreach (var (name, changesNothing, reason) in Shared) fields.Neutral(name, changesNothing, reason);
        return model.Named(fields.Adapter);
    }

    public static void ReadChat(FieldReader fields)
    {
        ReadFunctions(fields);
        foreach (var (name, changesNothing, reason) in ChatOnly) fields.Neutral(name, changesNothing, reason);
    }

    /// <summary>vLLM's way to name an adapter. Only what the operator has loaded can be named, so a path has no effect.</summary>
    static void ReadAdapter(FieldReader fields, ServedModel model)
    {
        if (fields.Fields("lora_request") is not { } asked) return;
        asked.Bookkeeping("lora_int_id");
        foreach (var path in (ReadOnlySpan<string>)["lora_path", "lora_local_path"])
            asked.Hint(path, Neutral.EmptyText, "has no effect: adapters are loaded by the operator");
        if (asked.Text("lora_name") is { } name) fields.NameAdapter(name, model);
        else asked.Refuse("lora_name", $"'{asked.PathOf("lora_name")}' is required.");
        asked.ReportUnread();
    }

    /// <summary>OpenAI's first way to offer functions. Those that the client itself forbids to call are only reported.</summary>
    static void ReadFunctions(FieldReader fields)
    {
        if (fields.Find("function_call") is { } given && JsonText.Of(given) == "none") fields.Hint("functions", Neutral.EmptyList, OldTools);
        else fields.Neutral("functions", Neutral.EmptyList, OldTools);
    }
}

/// <summary>Tests for values with which an unsupported field changes nothing.</summary>
static class Neutral
{
    public static bool False(JsonElement value) => value.ValueKind == JsonValueKind.False;

    public static bool True(JsonElement value) => value.ValueKind == JsonValueKind.True;

    public static bool Boolean(JsonElement value) => value.ValueKind is JsonValueKind.True or JsonValueKind.False;

    public static bool Zero(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number == 0;

    public static bool One(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number == 1;

    public static bool EmptyList(JsonElement value) => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0;

    public static bool EmptyText(JsonElement value) => JsonText.Of(value) is "";

    public static bool Never(JsonElement value) => false;

    public static Func<JsonElement, bool> Text(params string[] allowed) => value => JsonText.Of(value) is { } text && allowed.Contains(text);

    /// <summary>An object of one field, "type", of this value. Others may be null.</summary>
    public static Func<JsonElement, bool> OfType(string type) => value => value.ValueKind == JsonValueKind.Object
        && value.EnumerateObject().All(field => field.NameEquals("type") ? JsonText.Of(field.Value) == type : field.Value.ValueKind == JsonValueKind.Null)
        && value.TryGetProperty("type", out _);

    /// <summary>A list of this text alone.</summary>
    public static Func<JsonElement, bool> Only(string text) => value => value.ValueKind == JsonValueKind.Array
        && value.GetArrayLength() == 1 && JsonText.Of(value[0]) == text;
}
