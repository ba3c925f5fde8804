using LlamaCluster.Sessions.Storage;
using LlamaCluster.Testing;

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
    public Task A_turn_is_stored_and_found_after_a_restart() => A_turn_is_stored_and_found_after_a_restartAsync();

    [RedisFact]
    public Task One_turn_at_a_time() => One_turn_at_a_timeAsync();

    [RedisFact]
    public Task A_waiting_turn_can_leave_and_a_dead_one_loses_its_lease() => A_waiting_turn_can_leave_and_a_dead_one_loses_its_leaseAsync();

    [RedisFact]
    public Task A_session_can_begin_with_its_first_turn() => A_session_can_begin_with_its_first_turnAsync();

    [RedisFact]
    public Task Deleted_sessions_are_gone_and_cannot_be_committed_to() => Deleted_sessions_are_gone_and_cannot_be_committed_toAsync();

    [RedisFact]
    public Task Lists_have_pages_and_ages() => Lists_have_pages_and_agesAsync();

    [RedisFact]
    public Task Sessions_end_by_their_time_to_live() => Sessions_end_by_their_time_to_liveAsync();

    [RedisFact]
    public Task A_client_has_only_so_many() => A_client_has_only_so_manyAsync();
}
