using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Testing;
using Microsoft.Data.Sqlite;
using Orleans.Storage;

namespace LlamaCluster.Sessions.Tests.Storage;

/// <summary>Files that cannot be used are refused in one line that says what to do, and lose nothing.</summary>
public sealed class SqliteStateFileTests : IDisposable
{
    static readonly GrainId Session = GrainId.Create("session", "default/one");

    readonly TempFolder _folder = new();

    string Path => _folder.File("sessions.db");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_of_a_later_version_is_left_alone()
    {
        SqliteStateFile.Open(Path).Dispose();
        Change("PRAGMA user_version = 3");
        var refused = Assert.Throws<StateStoreException>(() => SqliteStateFile.Open(Path));
        Assert.Equal(
            $"{Path} was written by a later version of llamacluster (form 3, this one knows 2); use that version, or another folder (--data-dir)",
            refused.Message);
    }

    [Fact]
    public void A_file_of_an_earlier_version_gets_what_it_lacks_and_keeps_what_it_has()
    {
        SqliteStateFile.Open(Path).Dispose();
        Change("INSERT INTO state (grain, etag, data) VALUES ('kept', 1, x'00'); DROP TABLE response; PRAGMA user_version = 1");
        SqliteStateFile.Open(Path).Dispose();
        Assert.Equal(1, Change("INSERT INTO response SELECT grain, '', 0, 0, 0, data FROM state WHERE grain = 'kept'"));
    }

    [Fact]
    public void A_file_of_another_program_is_left_alone()
    {
        Change("CREATE TABLE theirs (a)");
        var refused = Assert.Throws<StateStoreException>(() => SqliteStateFile.Open(Path));
        Assert.Equal($"{Path} is another program's database; move it away, or give sessions another folder (--data-dir)", refused.Message);
    }

    [Fact]
    public async Task A_damaged_file_is_said_to_be()
    {
        await File.WriteAllBytesAsync(Path, Enumerable.Repeat((byte)'x', 8192).ToArray());
        var refused = Assert.Throws<StateStoreException>(() => SqliteStateFile.Open(Path));
        Assert.Equal($"sessions cannot be kept in {Path}: it is damaged; restore a copy, or move it away to begin anew", refused.Message);
    }

    [Fact]
    public void A_folder_that_cannot_be_written_to_is_named()
    {
        if (!OperatingSystem.IsLinux()) return;
        var refused = Assert.Throws<StateStoreException>(() => SqliteStateFile.Open("/proc/sessions.db"));
        Assert.StartsWith("sessions cannot be kept in /proc/sessions.db: ", refused.Message);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Fact]
    public void Only_its_owner_can_read_it()
    {
        using var file = SqliteStateFile.Open(Path);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path));
    }

    [Fact]
    public async Task A_full_disk_refuses_a_write_and_keeps_what_was_there()
    {
        using var file = SqliteStateFile.Open(Path, mostPages: 40);
        var storage = new SqliteGrainStorage(file, new StateSerializer());
        var state = new Stored<SessionState> { State = OfTokens(1000) };
        await storage.WriteStateAsync("s", Session, state);
        state.State = OfTokens(100_000);
        var full = await Assert.ThrowsAsync<StateStoreException>(() => storage.WriteStateAsync("s", Session, state));
        Assert.Equal($"sessions cannot be kept in {Path}: the disk is full; make room", full.Message);

        var read = new Stored<SessionState>();
        await storage.ReadStateAsync("s", Session, read);
        Assert.Equal(1000, read.State.History.Ids.Length);
        read.State = OfTokens(1001);
        await storage.WriteStateAsync("s", Session, read);
    }

    [Fact]
    public async Task A_write_that_does_not_know_the_last_one_changes_nothing()
    {
        using var file = SqliteStateFile.Open(Path);
        var storage = new SqliteGrainStorage(file, new StateSerializer());
        var (first, second) = (new Stored<SessionState> { State = OfTokens(1) }, new Stored<SessionState>());
        await storage.WriteStateAsync("s", Session, first);
        await storage.ReadStateAsync("s", Session, second);
        first.State = OfTokens(2);
        await storage.WriteStateAsync("s", Session, first);
        second.State = OfTokens(3);
        await Assert.ThrowsAsync<InconsistentStateException>(() => storage.WriteStateAsync("s", Session, second));
        await Assert.ThrowsAsync<InconsistentStateException>(() => storage.ClearStateAsync("s", Session, second));
        await Assert.ThrowsAsync<InconsistentStateException>(() => storage.WriteStateAsync("s", Session, new Stored<SessionState>()));
        await storage.ReadStateAsync("s", Session, second);
        Assert.Equal(2, second.State.History.Ids.Length);
        await storage.ClearStateAsync("s", Session, second);
        Assert.Equal((false, null), (second.RecordExists, second.ETag));
    }

    static SessionState OfTokens(int count) => new() { History = new SessionHistory { Ids = new int[count] } };

    /// <returns>How many rows.</returns>
    int Change(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Path};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteNonQuery();
    }
}
