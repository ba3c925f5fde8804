using LlamaCluster.Sessions.Storage;
using LlamaCluster.Testing;

namespace LlamaCluster.Sessions.Tests;

/// <summary>Sessions in a SQLite file.</summary>
public sealed class SqliteDirectoryTests : DirectoryContract
{
    readonly TempFolder _folder = new();

    protected override StatePlace Place => new StatePlace.File(_folder.File("sessions.db"));

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public new Task A_turn_is_stored_and_found_after_a_restart() => base.A_turn_is_stored_and_found_after_a_restart();

    [Fact]
    public new Task One_turn_at_a_time() => base.One_turn_at_a_time();

    [Fact]
    public new Task A_waiting_turn_can_leave_and_a_dead_one_loses_its_lease() => base.A_waiting_turn_can_leave_and_a_dead_one_loses_its_lease();

    [Fact]
    public new Task A_session_can_begin_with_its_first_turn() => base.A_session_can_begin_with_its_first_turn();

    [Fact]
    public new Task Deleted_sessions_are_gone_and_cannot_be_committed_to() => base.Deleted_sessions_are_gone_and_cannot_be_committed_to();

    [Fact]
    public new Task Lists_have_pages_and_ages() => base.Lists_have_pages_and_ages();

    [Fact]
    public new Task Sessions_end_by_their_time_to_live() => base.Sessions_end_by_their_time_to_live();

    [Fact]
    public new Task A_client_has_only_so_many() => base.A_client_has_only_so_many();
}
