using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>
/// A completion sent as server-sent events. The headers go out when the engine has taken the request on, or has said nothing for
/// <see cref="Grace"/>; until then an error still has a status of its own. While text is awaited, at the beginning or because workers were lost, a
/// comment goes out every <see cref="CommentEvery"/>, so that neither the client nor a proxy takes the connection for dead. The chunk that names the role comes with the
/// first text, as vLLM and llama.cpp send it: clients take the first chunk for the first token.
/// </summary>
/// <param name="promptTokens">Of all prompts together.</param>
/// <param name="continuousUsage">Every chunk has the usage so far.</param>
sealed class StreamedAnswer(HttpContext http, GenerationRun run, ResponseEnvelope envelope, int promptTokens, bool continuousUsage, TimeProvider time)
{
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan CommentEvery = TimeSpan.FromSeconds(10);

    readonly SemaphoreSlim _turn = new(1);   // a comment is never within an event
    long _lastSent;

    /// <returns>The error to answer with, if nothing has been sent yet.</returns>
    public async Task<ApiError?> SendAsync(int choices)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        var grace = Task.Delay(Grace, time, leaving.Token);
        var deltas = run.RunAsync(leaving.Token).GetAsyncEnumerator(leaving.Token);
        var first = deltas.MoveNextAsync().AsTask();
        SseStream? events = null;
        try
        {
            await Task.WhenAny(first, run.TakenOn, grace);
            if (!first.IsCompleted) await CommentUntilAsync(first, events = SseStream.Open(http.Response), leaving.Token);
            if (await first)
            {
                events ??= SseStream.Open(http.Response);
                await SendOpeningAsync(events, choices, leaving.Token);
                await SendAllAsync(events, deltas, leaving.Token);
            }
            if (events is null) return run.Error ?? ApiError.Internal("No choice was made.");
            if (run.Error is { } error) await events.FailAsync(error, leaving.Token);
            else await CloseAsync(events, leaving.Token);
            return null;
        }
        finally
        {
            leaving.Cancel();
            await ((Task)first).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // an enumerator at work cannot be disposed
            await deltas.DisposeAsync();
            events?.Dispose();
        }
    }

    async Task CommentUntilAsync(Task first, SseStream events, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(CommentEvery, time);
        await events.SendHeadersAsync(cancellation);
        while (await Task.WhenAny(first, timer.WaitForNextTickAsync(cancellation).AsTask()) != first) await events.CommentAsync(cancellation);
    }

    /// <summary>Sends what there is, and comments while there is nothing.</summary>
    async Task SendAllAsync(SseStream events, IAsyncEnumerator<ChoiceDelta> deltas, CancellationToken cancellation)
    {
        using var done = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var commenting = CommentWhenQuietAsync(events, done.Token);
        try
        {
            do
            {
                await _turn.WaitAsync(cancellation);
                try
                {
                    await SendAsync(events, deltas.Current, cancellation);
                    _lastSent = time.GetTimestamp();
                }
                finally
                {
                    _turn.Release();
                }
            }
            while (await deltas.MoveNextAsync());
        }
        finally
        {
            await done.CancelAsync();
            await commenting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    async Task CommentWhenQuietAsync(SseStream events, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(CommentEvery, time);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            await _turn.WaitAsync(cancellation);
            try
            {
                if (time.GetElapsedTime(_lastSent) >= CommentEvery) await events.CommentAsync(cancellation);
            }
            finally
            {
                _turn.Release();
            }
        }
    }

    async Task SendOpeningAsync(SseStream events, int choices, CancellationToken cancellation)
    {
        for (var index = 0; index < choices && envelope.Form.OpensStreams; index++)
        {
            envelope.WriteOpeningChunk(events.Begin(), index, SoFar);
            await events.EndAsync(cancellation);
        }
    }

    async ValueTask SendAsync(SseStream events, ChoiceDelta delta, CancellationToken cancellation)
    {
        if (delta.Text.Length > 0 || delta.Scores.Count > 0)
        {
            envelope.WriteDeltaChunk(events.Begin(), delta, SoFar);
            await events.EndAsync(cancellation);
        }
        if (delta.Finish is not { } finish) return;
        envelope.WriteFinishChunk(events.Begin(), delta.Index, finish, SoFar);
        await events.EndAsync(cancellation);
    }

    Usage? SoFar => continuousUsage ? Now : null;

    Usage Now => new(promptTokens, run.CompletionTokens, run.CachedTokens);

    async Task CloseAsync(SseStream events, CancellationToken cancellation)
    {
        if (envelope.UsageInChunks)
        {
            envelope.WriteUsageChunk(events.Begin(), Now);
            await events.EndAsync(cancellation);
        }
        await events.DoneAsync(cancellation);
    }
}
