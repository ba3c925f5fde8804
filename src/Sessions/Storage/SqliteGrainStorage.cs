using System.Globalization;
using Microsoft.Data.Sqlite;
using Orleans.Storage;

namespace LlamaCluster.Sessions.Storage;

/// <summary>
/// States of grains in a <see cref="SqliteStateFile"/>. An ETag is the number of times that a state was written; a write that does not name the last one
/// changes nothing.
/// </summary>
sealed class SqliteGrainStorage(SqliteStateFile file, IGrainStorageSerializer serializer) : IGrainStorage
{
    public async Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var row = await file.RunAsync(connection =>
        {
            using var command = Command(connection, "SELECT etag, data FROM state WHERE grain = $grain", KeyOf(stateName, grainId));
            using var reader = command.ExecuteReader();
            return reader.Read() ? (reader.GetInt64(0), reader.GetFieldValue<byte[]>(1)) : ((long, byte[])?)null;
        });
        if (row is var (etag, data))
            (grainState.State, grainState.ETag, grainState.RecordExists) = (serializer.Deserialize<T>(new BinaryData(data)), Text(etag), true);
        else
            Forget(grainState);
    }

    public async Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var data = serializer.Serialize(grainState.State).ToArray();
        var before = Number(grainState.ETag);
        var written = await file.RunAsync(connection =>
        {
            using var command = Command(connection, before is null
                ? "INSERT INTO state (grain, etag, data) VALUES ($grain, 1, $data) ON CONFLICT DO NOTHING"
                : "UPDATE state SET etag = etag + 1, data = $data WHERE grain = $grain AND etag = $etag", KeyOf(stateName, grainId), before);
            command.Parameters.AddWithValue("$data", data);
            return command.ExecuteNonQuery();
        });
        if (written == 0) throw Conflict(grainId, grainState.ETag);
        (grainState.ETag, grainState.RecordExists) = (Text((before ?? 0) + 1), true);
    }

    public async Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        if (Number(grainState.ETag) is { } before)
        {
            var cleared = await file.RunAsync(connection =>
            {
                using var command = Command(connection, "DELETE FROM state WHERE grain = $grain AND etag = $etag", KeyOf(stateName, grainId), before);
                return command.ExecuteNonQuery();
            });
            if (cleared == 0) throw Conflict(grainId, grainState.ETag);
        }
        Forget(grainState);
    }

    static void Forget<T>(IGrainState<T> state) => (state.State, state.ETag, state.RecordExists) = (Activator.CreateInstance<T>(), null, false);

    static InconsistentStateException Conflict(GrainId grain, string? etag) => new($"the stored state of {grain} is not the one with ETag {etag ?? "(none)"}");

    static string KeyOf(string stateName, GrainId grain) => $"{stateName}/{grain}";

    static SqliteCommand Command(SqliteConnection connection, string sql, string grain, long? etag = null)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        command.Parameters.AddWithValue("$grain", grain);
        if (etag is { } given) command.Parameters.AddWithValue("$etag", given);
        return command;
    }

    static string Text(long etag) => etag.ToString(CultureInfo.InvariantCulture);

    static long? Number(string? etag) => etag is null ? null : long.Parse(etag, CultureInfo.InvariantCulture);
}
