using LlamaCluster.Sessions.Storage;

namespace LlamaCluster.Sessions.Tests;

/// <summary>Sessions in Redis.</summary>
public sealed class RedisDirectoryTests : DirectoryContract
{
    readonly RedisServer? _server = RedisServer.IsInstalled ? RedisServer.Start() : null;

    protected override StatePlace Place => StatePlace.TryParse(_server!.Url, out var place, out _) ? place : throw new InvalidOperationException(_server.Url);

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        _server?.Dispose();
    }

    [RedisFact]
    public new Task A_turn_is_stored_and_found_after_a_restart() => base.A_turn_is_stored_and_found_after_a_restart();

    [RedisFact]
    public new Task One_turn_at_a_time() => base.One_turn_at_a_time();

    [RedisFact]
    public new Task A_waiting_turn_can_leave_and_a_dead_one_loses_its_lease() => base.A_waiting_turn_can_leave_and_a_dead_one_loses_its_lease();

    [RedisFact]
    public new Task A_session_can_begin_with_its_first_turn() => base.A_session_can_begin_with_its_first_turn();

    [RedisFact]
    public new Task Deleted_sessions_are_gone_and_cannot_be_committed_to() => base.Deleted_sessions_are_gone_and_cannot_be_committed_to();

    [RedisFact]
    public new Task Lists_have_pages_and_ages() => base.Lists_have_pages_and_ages();

    [RedisFact]
    public new Task Sessions_end_by_their_time_to_live() => base.Sessions_end_by_their_time_to_live();

    [RedisFact]
    public new Task A_client_has_only_so_many() => base.A_client_has_only_so_many();
}
