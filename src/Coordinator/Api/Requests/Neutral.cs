using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Values with which a field that is not supported changes nothing.</summary>
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

    /// <summary>An object of one field, "type", of this value.</summary>
    public static Func<JsonElement, bool> OfType(string type) => value => value.ValueKind == JsonValueKind.Object
        && value.GetPropertyCount() == 1 && value.TryGetProperty("type", out var given) && JsonText.Of(given) == type;

    /// <summary>A list of this text alone.</summary>
    public static Func<JsonElement, bool> Only(string text) => value => value.ValueKind == JsonValueKind.Array
        && value.GetArrayLength() == 1 && JsonText.Of(value[0]) == text;
}
