using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// A port that is open until one rank has connected with the token that it was told over gRPC, or the offer has expired. A caller without the
/// token is hung up on at once. A caller that says nothing is hung up on when the offer ends. Few callers are answered at a time.
/// </summary>
sealed partial class DirectListener : IAsyncDisposable
{
    /// <summary>Callers that are answered at a time.</summary>
    public const int MaxCallers = 8;

    readonly TcpListener _listener;
    readonly ClusterTls? _tls;
    readonly TimeSpan _timeout;
    readonly ILogger _logger;
    readonly byte[] _token = RandomNumberGenerator.GetBytes(DirectConnection.TokenBytes);
    readonly SemaphoreSlim _places = new(MaxCallers);
    readonly CancellationTokenSource _closing;
    readonly TaskCompletionSource<DirectConnection?> _accepted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly Task _listening;
    int _claimed;
    int _disposed;

    DirectListener(TcpListener listener, ClusterTls? tls, TimeSpan timeout, ILogger logger, CancellationToken closing)
    {
        (_listener, _tls, _timeout, _logger) = (listener, tls, timeout, logger);
        _closing = CancellationTokenSource.CreateLinkedTokenSource(closing);
        _closing.CancelAfter(RpcSettings.CallDeadline);
        _listening = ListenAsync();
    }

    public DirectOffer Offer => new() { Port = (uint)((IPEndPoint)_listener.LocalEndpoint).Port, Token = Google.Protobuf.ByteString.CopyFrom(_token) };

    /// <summary>Completes with the connection, which whoever awaits this then owns. Null: nobody came in time.</summary>
    public Task<DirectConnection?> Accepted => _accepted.Task;

    /// <param name="address">Where the other rank reached this process.</param>
    /// <param name="timeout">Of the connection's reads and writes.</param>
    /// <exception cref="SocketException">No port is free there.</exception>
    public static DirectListener Open(IPAddress address, ClusterTls? tls, TimeSpan timeout, ILogger logger, CancellationToken closing)
    {
        var listener = new TcpListener(address, 0);
        listener.Start(MaxCallers);
        return new DirectListener(listener, tls, timeout, logger, closing);
    }

    /// <summary>Closes the port, and waits until all callers are answered or hung up on.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await _closing.CancelAsync();
        await _listening;
        _places.Dispose();
        _closing.Dispose();
    }

    async Task ListenAsync()
    {
        try
        {
            while (true)
            {
                await _places.WaitAsync(_closing.Token);
                _ = AnswerAsync(await AcceptAsync());
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            // No more are heard.
        }
        finally
        {
            _listener.Dispose();
        }
        // A caller may choose the connection as soon as it is welcomed, which closes the door. So nobody has come only when all callers are answered.
        for (var i = 0; i < MaxCallers; i++) await _places.WaitAsync();
        _accepted.TrySetResult(null);
    }

    async Task<Socket> AcceptAsync()
    {
        try
        {
            return await _listener.AcceptSocketAsync(_closing.Token);
        }
        catch
        {
            _places.Release();
            throw;
        }
    }

    /// <summary>Answers one caller. It holds one of the places meanwhile.</summary>
    async Task AnswerAsync(Socket caller)
    {
        var from = caller.RemoteEndPoint;
        try
        {
            var opened = await DirectConnection.AnswerAsync(caller, Claim, _tls, _timeout, _closing.Token);
            if (opened is null) LogHungUp(from, "it does not know the token");
            else if (!_accepted.TrySetResult(opened)) opened.Dispose();
            else await _closing.CancelAsync();
        }
        catch (Exception e) when (e is IOException or SocketException or AuthenticationException or OperationCanceledException)
        {
            LogHungUp(from, RpcProblem.Describe(e));
        }
        finally
        {
            _places.Release();
        }
    }

    bool Claim(ReadOnlyMemory<byte> said) => CryptographicOperations.FixedTimeEquals(said.Span, _token) && Interlocked.Exchange(ref _claimed, 1) == 0;

    [LoggerMessage(Level = LogLevel.Information, Message = "Hung up on {Caller}, which came for a direct connection between ranks: {Problem}")]
    partial void LogHungUp(EndPoint? caller, string problem);
}
