using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Answering;

/// <summary>
/// An answer sent as a stream of events. The headers go out when the engine has taken the request on, or has said nothing for
/// <see cref="Grace"/>; until then an error still has a status of its own. While text is awaited, at the beginning or because workers were lost, a
/// comment goes out every <see cref="CommentEvery"/>, so that neither the client nor a proxy takes the connection for dead. What opens the stream comes
/// with the first text, as vLLM and llama.cpp send it: clients take the first event for the first token.
/// </summary>
sealed class StreamedAnswer(HttpContext http, GenerationRun run, IAnswerForm form, TimeProvider time)
{
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan CommentEvery = TimeSpan.FromSeconds(10);

    readonly SemaphoreSlim _turn = new(1);   // a comment is never within an event
    long _lastSent;

    /// <returns>The error to answer with, if nothing has been sent yet.</returns>
    public async Task<ApiError?> SendAsync()
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        var grace = Task.Delay(Grace, time, leaving.Token);
        var deltas = run.RunAsync(leaving.Token).GetAsyncEnumerator(leaving.Token);
        var first = deltas.MoveNextAsync().AsTask();
        EventStream? events = null;
        try
        {
            await Task.WhenAny(first, run.TakenOn, grace);
            if (!first.IsCompleted) await CommentUntilAsync(first, events = EventStream.Open(http.Response, form.Framing), leaving.Token);
            if (await first)
            {
                events ??= EventStream.Open(http.Response, form.Framing);
                form.Open(events);
                await SendAllAsync(events, deltas, leaving.Token);
            }
            if (events is null) return run.Error ?? ApiError.Internal("No choice was made.");
            if (run.Error is { } error) form.Fail(events, error);
            else await form.CloseAsync(events);
            await events.FlushAsync(leaving.Token);
            return null;
        }
        catch (Exception) when (events is not null && !http.RequestAborted.IsCancellationRequested)
        {
            form.Fail(events, ApiError.Bug(http.TraceIdentifier));
            await events.FlushAsync(leaving.Token);
            throw;
        }
        finally
        {
            leaving.Cancel();
            await ((Task)first).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // an enumerator at work cannot be disposed
            await deltas.DisposeAsync();
            events?.Dispose();
        }
    }

    async Task CommentUntilAsync(Task first, EventStream events, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(CommentEvery, time);
        await events.FlushAsync(cancellation);
        while (await Task.WhenAny(first, timer.WaitForNextTickAsync(cancellation).AsTask()) != first)
        {
            events.Comment();
            await events.FlushAsync(cancellation);
        }
    }

    /// <summary>Sends what there is, and comments while there is nothing.</summary>
    async Task SendAllAsync(EventStream events, IAsyncEnumerator<ChoiceDelta> deltas, CancellationToken cancellation)
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
                    form.Write(events, deltas.Current);
                    await events.FlushAsync(cancellation);
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

    async Task CommentWhenQuietAsync(EventStream events, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(CommentEvery, time);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            await _turn.WaitAsync(cancellation);
            try
            {
                if (time.GetElapsedTime(_lastSent) < CommentEvery) continue;
                events.Comment();
                await events.FlushAsync(cancellation);
            }
            finally
            {
                _turn.Release();
            }
        }
    }
}
