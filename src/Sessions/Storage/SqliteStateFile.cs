using LlamaCluster.Primitives;
using Microsoft.Data.Sqlite;

namespace LlamaCluster.Sessions.Storage;

/// <summary>
/// The SQLite file of sessions. It is in WAL mode, and every change is on the disk before it counts as made (synchronous=FULL), so neither a killed process
/// nor a power cut loses one. A connection does one thing at a time; others wait for it. Only the file's owner may read it.
/// </summary>
sealed class SqliteStateFile : IDisposable
{
    /// <summary>The version of the tables below; in the file's header (PRAGMA user_version).</summary>
    public const int SchemaVersion = 2;

    /// <summary>"LCSe" in the file's header (PRAGMA application_id), so that no other program's file is taken for ours.</summary>
    const int ApplicationId = 0x4C435365;

    /// <summary>What each version added to the one before, the first first.</summary>
    static readonly string[] Schema =
    [
        """
        CREATE TABLE state (
            grain TEXT PRIMARY KEY,
            etag  INTEGER NOT NULL,
            data  BLOB NOT NULL);
        CREATE TABLE session (
            id       TEXT PRIMARY KEY,
            client   TEXT NOT NULL,
            model    TEXT NOT NULL,
            created  INTEGER NOT NULL,
            updated  INTEGER NOT NULL,
            expires  INTEGER,
            turns    INTEGER NOT NULL,
            messages INTEGER NOT NULL,
            tokens   INTEGER NOT NULL,
            epoch    INTEGER NOT NULL);
        CREATE INDEX session_by_creation ON session (created, id);
        CREATE INDEX session_by_expiry ON session (expires) WHERE expires IS NOT NULL;
        CREATE INDEX session_by_client ON session (client);
        """,
        """
        CREATE TABLE response (
            id      TEXT PRIMARY KEY,
            owner   TEXT NOT NULL,
            created INTEGER NOT NULL,
            expires INTEGER,
            bytes   INTEGER NOT NULL,
            data    BLOB NOT NULL);
        CREATE INDEX response_by_owner ON response (owner, created, id, bytes);
        CREATE INDEX response_by_expiry ON response (expires) WHERE expires IS NOT NULL;
        """,
    ];

    readonly Lock _lock = new();
    readonly SqliteConnection _connection;
    readonly string _path;

    SqliteStateFile(SqliteConnection connection, string path) => (_connection, _path) = (connection, path);

    /// <summary>Opens the file, or makes it.</summary>
    /// <param name="mostPages">The file may not grow beyond so many pages of 4096 bytes; null: as far as the disk has room.</param>
    /// <exception cref="StateStoreException">The file cannot be used, or another version or program wrote it.</exception>
    public static SqliteStateFile Open(string path, int? mostPages = null)
    {
        SqliteStateFile? file = null;
        try
        {
            MakeOwn(path);
            var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 5 }.ToString());
            file = new SqliteStateFile(connection, path);
            connection.Open();
            file.Prepare(mostPages);
            return file;
        }
        catch (Exception e)
        {
            file?.Dispose();
            throw e switch
            {
                SqliteException wrong => Explain(wrong, path),
                IOException or UnauthorizedAccessException => new StateStoreException($"sessions cannot be kept in {path}: {ErrorText.Sentence(e.Message)}", e),
                _ => e,
            };
        }
    }

    /// <summary>Does something with the file, in a transaction of its own.</summary>
    /// <exception cref="StateStoreException">It cannot be done now. Nothing has changed.</exception>
    public Task<T> RunAsync<T>(Func<SqliteConnection, T> work) => Task.Run(() =>
    {
        lock (_lock)
        {
            try
            {
                using var transaction = _connection.BeginTransaction();
                var result = work(_connection);
                transaction.Commit();
                return result;
            }
            catch (SqliteException wrong)
            {
                throw Explain(wrong, _path);
            }
        }
    });

    public void Dispose()
    {
        lock (_lock) _connection.Dispose();
    }

    /// <summary>SQLite gives its other files the rights of the first.</summary>
    static void MakeOwn(string path)
    {
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder && !Directory.Exists(folder))
        {
            if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
            else Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        if (File.Exists(path) || OperatingSystem.IsWindows()) return;
        new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.ReadWrite,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }).Dispose();
    }

    void Prepare(int? mostPages)
    {
        var (application, version) = (Number("PRAGMA application_id"), Number("PRAGMA user_version"));
        var isNew = application == 0 && version == 0 && Number("SELECT count(*) FROM sqlite_schema") == 0;
        if (!isNew && application != ApplicationId)
            throw new StateStoreException($"{_path} is another program's database; move it away, or give sessions another folder (--data-dir)");
        if (version > SchemaVersion)
            throw new StateStoreException(
                $"{_path} was written by a later version of llamacluster (form {version}, this one knows {SchemaVersion}); "
                + "use that version, or another folder (--data-dir)");
        Execute("PRAGMA journal_mode = WAL");
        Execute("PRAGMA synchronous = FULL");
        Execute("PRAGMA secure_delete = ON");   // what a client deletes is gone from the file, too
        if (mostPages is { } most) Execute($"PRAGMA max_page_count = {most}");
        if (version == SchemaVersion) return;
        using var transaction = _connection.BeginTransaction();
        version = Number("PRAGMA user_version");   // another connection may have been first
        if (version == SchemaVersion) return;
        Execute($"{string.Concat(Schema[(int)version..])} PRAGMA application_id = {ApplicationId}; PRAGMA user_version = {SchemaVersion};");
        transaction.Commit();
    }

    void Execute(string sql)
    {
        using var command = _connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    long Number(string sql)
    {
        using var command = _connection.CreateCommand();
        command.CommandText = sql;
        return (long)command.ExecuteScalar()!;
    }

    static StateStoreException Explain(SqliteException wrong, string path)
    {
        const int busy = 5, readOnly = 8, ioError = 10, corrupt = 11, full = 13, cannotOpen = 14, notADatabase = 26;
        var why = wrong.SqliteErrorCode switch
        {
            full => "the disk is full; make room",
            readOnly => "it, or its folder, cannot be written to; change its owner or its rights",
            cannotOpen => "it, or its folder, cannot be opened; change its owner or its rights",
            busy => "another program is using it; end that one",
            corrupt or notADatabase => "it is damaged; restore a copy, or move it away to begin anew",
            ioError => $"the disk fails or is full ({ErrorText.Sentence(wrong.Message)})",
            _ => ErrorText.Sentence(wrong.Message),
        };
        return new StateStoreException($"sessions cannot be kept in {path}: {why}", wrong);
    }
}
