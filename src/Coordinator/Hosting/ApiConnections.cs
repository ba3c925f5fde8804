using LlamaCluster.Cluster.Rpc;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Net.Http.Headers;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>
/// The API's connections while the coordinator stops. A client whose answer has just ended sends its next request on the same connection, so one that is
/// closed then cuts off a request that nobody has seen, and clients do not repeat those by themselves. Therefore answers say from then on that their
/// connection closes, and one that was promised to live gets a moment for a last request, which is answered like any other: come again.
/// </summary>
sealed class ApiConnections : IHostedLifecycleService
{
    /// <summary>For a request to come after the answer before it, or after the connection was made.</summary>
    static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(500);

    /// <summary>The most that clients can hold up a stop.</summary>
    static readonly TimeSpan Longest = TimeSpan.FromSeconds(1.5);

    readonly ListenSockets _sockets;
    readonly CancellationToken _stopping;
    readonly HashSet<Tracked> _open = [];
    long _sentAwaySince;

    public ApiConnections(IHostApplicationLifetime lifetime, ListenSockets sockets)
    {
        (_sockets, _stopping) = (sockets, lifetime.ApplicationStopping);
        _stopping.Register(() => _sentAwaySince = Time.GetTimestamp());
    }

    /// <summary>Connections live in real time, whatever time the coordinator is told.</summary>
    static TimeProvider Time => TimeProvider.System;

    /// <summary>Goes with a connection from its beginning to its end.</summary>
    public async Task TrackAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var tracked = new Tracked { QuietSince = Time.GetTimestamp() };
        connection.Features.Set(tracked);
        lock (_open) _open.Add(tracked);
        try
        {
            await next(connection);
        }
        finally
        {
            lock (_open) _open.Remove(tracked);
        }
    }

    /// <summary>Goes with a request.</summary>
    public async Task AnswerAsync(HttpContext http, RequestDelegate next)
    {
        var tracked = http.Features.GetRequiredFeature<Tracked>();
        Change(tracked, isAnswering: true);
        http.Response.OnStarting(() =>
        {
            if (_stopping.IsCancellationRequested) http.Response.Headers[HeaderNames.Connection] = "close";
            return Task.CompletedTask;
        });
        try
        {
            await next(http);
        }
        finally
        {
            Change(tracked, isAnswering: false);
        }
    }

    /// <summary>
    /// When nothing is generated any more: makes no new connections, and leaves those that there are a moment for requests that were on their way. Connections
    /// that have been quiet since before the stop are not waited for.
    /// </summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        var begun = Time.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        bool HasTime() => Time.GetElapsedTime(begun) < Longest && !cancellationToken.IsCancellationRequested;
        while (!_sockets.TryClose() && HasTime()) await timer.WaitForNextTickAsync(CancellationToken.None);
        _sockets.Close();
        while (IsExpecting() && HasTime()) await timer.WaitForNextTickAsync(CancellationToken.None);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    bool IsExpecting()
    {
        lock (_open)
            return _open.Any(connection
                => connection.IsAnswering || (connection.QuietSince >= _sentAwaySince && Time.GetElapsedTime(connection.QuietSince) < Grace));
    }

    void Change(Tracked tracked, bool isAnswering)
    {
        lock (_open) (tracked.IsAnswering, tracked.QuietSince) = (isAnswering, Time.GetTimestamp());
    }

    /// <summary>What is known of a connection.</summary>
    sealed class Tracked
    {
        public bool IsAnswering { get; set; }

        /// <summary>Timestamp of its beginning or of its last answer's end.</summary>
        public long QuietSince { get; set; }
    }
}
