using Microsoft.Data.Sqlite;

namespace LlamaCluster.Sessions.Storage;

static class SqliteParameters
{
    /// <param name="values">Parameters by name.</param>
    public static void Add(this SqliteCommand command, params (string Name, object Value)[] values)
    {
        foreach (var (name, value) in values) command.Parameters.AddWithValue(name, value);
    }
}
