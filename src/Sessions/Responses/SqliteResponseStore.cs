using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;

namespace LlamaCluster.Sessions.Responses;

/// <summary>Responses in a <see cref="SqliteStateFile"/>, beside the sessions. Times are milliseconds since 1970.</summary>
/// <param name="file">Belongs to the store from now on.</param>
sealed class SqliteResponseStore(SqliteStateFile file) : IResponseStore
{
    readonly StateSerializer _serializer = new();

    public Task PutAsync(ResponseState response, DateTimeOffset? expires, ResponseLimits limits)
    {
        var data = _serializer.Serialize(response).ToArray();
        return file.RunAsync(connection =>
        {
            using var command = connection.CreateCommand();
            command.CommandText = """
                INSERT OR REPLACE INTO response (id, owner, created, expires, bytes, data) VALUES ($id, $owner, $created, $expires, $bytes, $data);
                DELETE FROM response WHERE id <> $id AND id IN (
                    SELECT id FROM (
                        SELECT id, row_number() OVER latest AS number, sum(bytes) OVER latest AS total FROM response WHERE owner = $owner
                        WINDOW latest AS (ORDER BY created DESC, id DESC))
                    WHERE number > $responses OR total > $total);
                """;
            command.Add(
                ("$id", response.Id), ("$owner", response.Owner), ("$created", response.Created.ToUnixTimeMilliseconds()),
                ("$expires", expires is { } end ? end.ToUnixTimeMilliseconds() : DBNull.Value), ("$bytes", data.Length), ("$data", data),
                ("$responses", limits.Responses), ("$total", limits.Bytes));
            return command.ExecuteNonQuery();
        });
    }

    public async Task<ResponseState?> FindAsync(string id, DateTimeOffset now)
    {
        var data = await file.RunAsync(connection =>
        {
            using var command = connection.CreateCommand();
            command.CommandText = "SELECT data FROM response WHERE id = $id AND (expires IS NULL OR expires > $now)";
            command.Add(("$id", id), ("$now", now.ToUnixTimeMilliseconds()));
            return (byte[]?)command.ExecuteScalar();
        });
        return data is null ? null : _serializer.Deserialize<ResponseState>(new BinaryData(data));
    }

    public Task DeleteAsync(ResponseState response) => file.RunAsync(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "DELETE FROM response WHERE id = $id";
        command.Add(("$id", response.Id));
        return command.ExecuteNonQuery();
    });

    public Task SweepAsync(DateTimeOffset now) => file.RunAsync(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "DELETE FROM response WHERE expires <= $now";
        command.Add(("$now", now.ToUnixTimeMilliseconds()));
        return command.ExecuteNonQuery();
    });

    public ValueTask DisposeAsync()
    {
        file.Dispose();
        return ValueTask.CompletedTask;
    }
}
