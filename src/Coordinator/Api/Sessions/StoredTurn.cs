using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;

namespace LlamaCluster.Coordinator.Api.Sessions;

/// <summary>
/// The one turn of a stored session. It holds the session's lease and keeps it alive. The session changes once: when the answer is complete, before its
/// end is told. An answer that is cut short leaves it as it was, or with what was told of it, if the request says so.
/// </summary>
sealed class StoredTurn : RecordedTurn
{
    static readonly TimeSpan RenewEvery = TimeSpan.FromSeconds(10);

    readonly SessionDirectory _directory;
    readonly BeginReply _begun;
    readonly CancellationTokenSource _ending = new();
    readonly Task _renewing;
    bool _ended;
    bool _keepsPartial;

    /// <param name="begun">Of a turn that has begun.</param>
    public StoredTurn(CompletionRequest request, TurnInput input, BeginReply begun, SessionDirectory directory, ServedModel model, TimeProvider time)
        : base(request, input, begun.State!.History, model)
    {
        (_directory, _begun) = (directory, begun);
        _keepsPartial = request.Session.KeepPartial && request.Settings.Stream;   // of a whole answer nothing is told before its end
        _renewing = RenewAsync(time);
    }

    public override Func<Task<ApiError?>> Closing => CommitAsync;

    string Id => Request.Session.Id!;

    SessionLease Lease => _begun.Lease!;

    public override void Discard() => _keepsPartial = false;

    public override async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _renewing;
        if (!_ended && _keepsPartial && Record.Text.Length > 0) await CommitAsync();   // why that fails is in the log; nobody reads the answer
        if (!_ended) await AbortAsync();
        _ending.Dispose();
    }

    async Task<ApiError?> CommitAsync()
    {
        _ended = true;
        try
        {
            return await _directory.CommitAsync(Id, Lease, _begun.State! with { History = HistoryWithAnswer() }) == CommitOutcome.Committed
                ? null
                : ApiError.SessionChanged(Id);
        }
        catch (StateStoreException gone)
        {
            return ApiError.SessionsUnavailable(gone.Message);
        }
    }

    async Task AbortAsync()
    {
        try
        {
            await _directory.AbortAsync(Id, Lease);
        }
        catch (StateStoreException)
        {
            _ended = true;   // the lease ends by itself
        }
    }

    /// <summary>Ends when the turn does, or when the lease is lost: then the commit says so.</summary>
    async Task RenewAsync(TimeProvider time)
    {
        using var timer = new PeriodicTimer(RenewEvery, time);
        try
        {
            while (await timer.WaitForNextTickAsync(_ending.Token) && await TryRenewAsync()) { }
        }
        catch (OperationCanceledException)
        {
            return;
        }
    }

    /// <returns>False if the lease is another's. A store that is gone for a moment may be back at the next try.</returns>
    async Task<bool> TryRenewAsync()
    {
        try
        {
            return await _directory.RenewAsync(Id, Lease);
        }
        catch (StateStoreException)
        {
            return true;
        }
    }
}
