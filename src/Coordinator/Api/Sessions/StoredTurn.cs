using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Sessions;

/// <summary>
/// The one turn of a stored session. It holds the session's lease and keeps it alive. The session changes once: when the answer is complete, before its
/// end is told. An answer that is cut short leaves it as it was, or with what was told of it, if the request says so.
/// </summary>
sealed class StoredTurn : Turn
{
    static readonly TimeSpan RenewEvery = TimeSpan.FromSeconds(10);

    readonly SessionDirectory _directory;
    readonly ITokenizer _tokenizer;
    readonly BeginReply _begun;
    readonly TurnInput _input;
    readonly CancellationTokenSource _ending = new();
    readonly Task _renewing;
    bool _ended;
    bool _keepsPartial;

    /// <param name="begun">Of a turn that has begun.</param>
    public StoredTurn(CompletionRequest request, TurnInput input, BeginReply begun, SessionDirectory directory, ITokenizer tokenizer, TimeProvider time)
        : base(request, [new EncodedPrompt(input.Text, input.History.Ids)])
    {
        (_directory, _tokenizer, _begun, _input) = (directory, tokenizer, begun, input);
        _keepsPartial = request.Session.KeepPartial && request.Settings.Stream;   // of a whole answer nothing is told before its end
        _renewing = RenewAsync(time);
    }

    public override AnswerRecord Record { get; } = new();

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

    SessionHistory HistoryWithAnswer()
    {
        var (asked, (ids, characters)) = (_input.History, Record.Exact(_tokenizer));
        var answer = new JsonObject { ["role"] = "assistant", ["content"] = Record.Text };
        string[] messages = [.. asked.Messages, SessionForm.TextOf(answer)];
        int[] all = [.. asked.Ids, .. ids];
        return asked with
        {
            Messages = messages,
            Ids = all,
            Turns = [.. asked.Turns, new SessionTurn(messages.Length, all.Length, characters)],
            Replica = Record.Replica,
            ResidentPositions = asked.Ids.Length + Math.Max(0, Record.Generated - 1),   // the last token was sampled, but not run
        };
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
