using Microsoft.Data.Sqlite;

namespace LlamaCluster.Sessions.Storage;

/// <summary>The list of sessions in a <see cref="SqliteStateFile"/>. Times are milliseconds since 1970.</summary>
sealed class SqliteSessionCatalog(SqliteStateFile file) : ISessionCatalog
{
    const string Columns = "id, client, model, created, updated, expires, turns, messages, tokens, epoch";

    public Task PutAsync(SessionEntry entry) => file.RunAsync(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = $"""
            INSERT OR REPLACE INTO session ({Columns})
            VALUES ($id, $client, $model, $created, $updated, $expires, $turns, $messages, $tokens, $epoch)
            """;
        command.Add(("$id", entry.Id), ("$client", entry.Client), ("$model", entry.Model), ("$created", Milliseconds(entry.Created)),
            ("$updated", Milliseconds(entry.Updated)), ("$expires", entry.Expires is { } end ? Milliseconds(end) : DBNull.Value), ("$turns", entry.Turns),
            ("$messages", entry.Messages), ("$tokens", entry.Tokens), ("$epoch", entry.Epoch));
        return command.ExecuteNonQuery();
    });

    public Task RemoveAsync(string id) => file.RunAsync(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "DELETE FROM session WHERE id = $id";
        command.Add(("$id", id));
        return command.ExecuteNonQuery();
    });

    public Task<SessionPage?> ListAsync(SessionQuery query) => file.RunAsync(connection =>
    {
        var (after, order) = query.OldestFirst ? (">", "ASC") : ("<", "DESC");
        if (query.After is not null && CreationOf(connection, query.After) is null) return null;
        using var command = connection.CreateCommand();
        command.CommandText = $"""
            SELECT {Columns} FROM session
            WHERE ($after IS NULL OR (created, id) {after} ((SELECT created FROM session WHERE id = $after), $after))
                AND ($before IS NULL OR updated < $before) AND ($since IS NULL OR updated >= $since)
            ORDER BY created {order}, id {order} LIMIT $limit
            """;
        command.Add(
            ("$after", query.After as object ?? DBNull.Value), ("$before", Time(query.UpdatedBefore)), ("$since", Time(query.UpdatedSince)),
            ("$limit", query.Limit + 1));
        using var reader = command.ExecuteReader();
        List<SessionEntry> found = [];
        while (reader.Read()) found.Add(Read(reader));
        return SessionPage.Of(found, query.Limit);
    });

    public Task<int> CountAsync(string client) => file.RunAsync(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT count(*) FROM session WHERE client = $client";
        command.Add(("$client", client));
        return (int)(long)command.ExecuteScalar()!;
    });

    public Task<IReadOnlyList<string>> ExpiredAsync(DateTimeOffset now, int most) => file.RunAsync<IReadOnlyList<string>>(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT id FROM session WHERE expires <= $now ORDER BY expires LIMIT $most";
        command.Add(("$now", Milliseconds(now)), ("$most", most));
        using var reader = command.ExecuteReader();
        List<string> ids = [];
        while (reader.Read()) ids.Add(reader.GetString(0));
        return ids;
    });

    static long? CreationOf(SqliteConnection connection, string id)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT created FROM session WHERE id = $id";
        command.Add(("$id", id));
        return (long?)command.ExecuteScalar();
    }

    static SessionEntry Read(SqliteDataReader row) => new(
        row.GetString(0), row.GetString(1), row.GetString(2), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(3)),
        DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(4)), row.IsDBNull(5) ? null : DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(5)),
        row.GetInt32(6), row.GetInt32(7), row.GetInt32(8), row.GetInt64(9));

    static object Time(DateTimeOffset? time) => time is { } given ? Milliseconds(given) : DBNull.Value;

    static long Milliseconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds();
}
