using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using LlamaCluster.Sessions.Storage;
using Orleans.Storage;

namespace LlamaCluster.Sessions.Grains;

/// <summary>
/// How states are stored, in SQLite and in Redis alike: JSON, so that later versions can read it. A field that a version does not know is left out.
/// </summary>
sealed class StateSerializer : IGrainStorageSerializer
{
    static readonly JsonSerializerOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    public BinaryData Serialize<T>(T? input) => new(JsonSerializer.SerializeToUtf8Bytes(input, Options));

    /// <exception cref="StateStoreException">A session is of a form that this version does not know.</exception>
    public T Deserialize<T>(BinaryData input)
    {
        var state = JsonSerializer.Deserialize<T>(input.ToMemory().Span, Options) ?? throw new JsonException($"a stored {typeof(T).Name} is null");
        return state is SessionState { Version: not SessionState.CurrentVersion and var version }
            ? throw new StateStoreException(
                $"the session is stored in form {version}, and this version reads form {SessionState.CurrentVersion}: "
                + "use the version that stored it, or delete the session")
            : state;
    }
}

/// <summary>Token ids as base64 of little-endian 32-bit integers: half as long as numbers, and read many times as fast.</summary>
sealed class TokenIdsConverter : JsonConverter<int[]>
{
    public override int[] Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        var bytes = reader.GetBytesFromBase64();
        if (bytes.Length % sizeof(int) != 0) throw new JsonException("stored token ids are cut short");
        return MemoryMarshal.Cast<byte, int>(bytes).ToArray();
    }

    public override void Write(Utf8JsonWriter writer, int[] value, JsonSerializerOptions options)
        => writer.WriteBase64StringValue(MemoryMarshal.AsBytes(value.AsSpan()));
}
