using Grpc.Core;
using LlamaCluster.Cluster.Mapping;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>One call, whatever its messages are.</summary>
abstract class SimCall(SimProcess client)
{
    public SimProcess Client => client;

    /// <summary>Null until it is connected.</summary>
    public SimProcess? Server { get; protected set; }

    public bool Has(SimProcess process) => Client == process || Server == process;

    /// <summary>The connection is gone; the two ends learn of it within a time.</summary>
    public abstract void Break(TimeSpan within);
}

/// <summary>One call: two streams of messages, and how it ended.</summary>
sealed class SimCall<TRequest, TResponse> : SimCall
    where TRequest : class where TResponse : class
{
    static readonly Status Gone = new(StatusCode.Unavailable, "its connection broke");

    readonly SimNetwork _network;
    readonly CancellationTokenSource _serverCancelled = new();
    readonly SimStream<TRequest> _up;
    readonly SimStream<TResponse> _down;
    readonly string _method;
    bool _over;

    public SimCall(
        SimNetwork network, SimProcess client, Uri address, string method, Metadata headers, CancellationToken cancellation, CancellationToken closed)
        : base(client)
    {
        (_network, _method) = (network, method);
        (_up, _down) = (new SimStream<TRequest>(), new SimStream<TResponse>());
        ClientWriter = new Writer<TRequest>(message => Send(_up, message, Server), CompleteRequests);
        ClientReader = new Reader<TResponse>(_down, cancellation);
        network.Opened(this);
        cancellation.Register(Cancel);
        closed.Register(Cancel);
        var takes = network.Takes(client, client);
        SimNetwork.Later(client, takes ?? TimeSpan.FromSeconds(1), () => Connect(address, headers));
    }

    public IClientStreamWriter<TRequest> ClientWriter { get; }

    public IAsyncStreamReader<TResponse> ClientReader { get; }

    public async Task<TResponse> OnlyResponseAsync() => await ClientReader.MoveNext(CancellationToken.None)
        ? ClientReader.Current
        : throw new RpcException(new Status(StatusCode.Internal, "no response"));

    public void SendOnly(TRequest request)
    {
        Send(_up, request, Server);
        CompleteRequests();
    }

    /// <summary>By the client: the server learns of it later.</summary>
    public void Cancel()
    {
        if (_over) return;
        End();
        _down.End(new RpcException(new Status(StatusCode.Cancelled, "the call was cancelled")));
        TellServer(_network.Takes(Client, Server ?? Client) ?? TimeSpan.Zero);
    }

    public override void Break(TimeSpan within)
    {
        if (_over) return;
        End();
        // What was under way may still arrive.
        var (isLost, random) = (_network.Simulator.Random.Chance(0.5), _network.Simulator.Random);
        if (isLost) _down.Lose();
        if (isLost) _up.Lose();
        SimNetwork.Later(Client, within * random.Of(0.1, 1), () => _down.End(new RpcException(Gone)));
        TellServer(within * random.Of(0.1, 1));
    }

    void Connect(Uri address, Metadata headers)
    {
        if (_over) return;
        if (_network.ServerAt(address) is not { } server || _network.Takes(Client, server.Process) is not { } takes)
        {
            End();
            _down.End(new RpcException(new Status(StatusCode.Unavailable, "Connection refused")));
            return;
        }
        Server = server.Process;
        SimNetwork.Later(server.Process, takes, () =>
        {
            if (!_over) Answer(server, headers);
        });
        foreach (var message in _up.TakeUnsent()) Send(_up, message, Server);
        if (_up.IsCompleting) CompleteRequests();
    }

    async void Answer(SimServer server, Metadata headers)
    {
        var status = Status.DefaultSuccess;
        try
        {
            if (server.Find<TRequest, TResponse>(_method) is not { } handle) status = new Status(StatusCode.Unimplemented, _method);
            else await handle(new(
                new Reader<TRequest>(_up, _serverCancelled.Token),
                new Writer<TResponse>(message => Send(_down, message, Client), () => { }), headers, _serverCancelled.Token));
        }
        catch (RpcException e)
        {
            status = e.Status;
        }
        catch (InvalidMessageException e)
        {
            status = new Status(StatusCode.InvalidArgument, e.Message);
        }
        catch (InvalidOperationException) when (_over)
        {
            // It answered a caller that is gone.
        }
        catch (OperationCanceledException)
        {
            status = new Status(StatusCode.Unavailable, "the process is stopping");
        }
        catch (Exception e)
        {
            _network.Simulator.Fail($"{_method} at {server.Process.Name} threw {e}");
        }
        if (_over) return;
        if (_network.Takes(server.Process, Client) is { } takes)
            _down.Send(_network, Client, takes, () => _down.End(status.StatusCode == StatusCode.OK ? null : new RpcException(status)));
        else Break(TimeSpan.FromMilliseconds(5));
        if (!_over) End();
        _up.End(null);
    }

    void Send<T>(SimStream<T> stream, T message, SimProcess? to) where T : class
    {
        if (_over) throw new InvalidOperationException("Can't write the message because the call is complete.");
        if (to is null)
        {
            stream.KeepUnsent(message);
            return;
        }
        var times = message is Protos.StepReply { Failed: null } && _network.Duplicates() ? 2 : 1;
        for (var i = 0; i < times; i++)
        {
            if (_network.Takes(to == Client ? Server! : Client, to) is { } takes) stream.Send(_network, to, takes, () => stream.Deliver(message));
            else
            {
                Break(TimeSpan.FromSeconds(1));
                return;
            }
        }
    }

    void CompleteRequests()
    {
        _up.IsCompleting = true;
        if (Server is { } server && !_over) _up.Send(_network, server, _network.Takes(Client, server) ?? TimeSpan.FromSeconds(1), () => _up.End(null));
    }

    void TellServer(TimeSpan after)
    {
        if (Server is { } server) SimNetwork.Later(server, after, () =>
        {
            _up.End(new RpcException(new Status(StatusCode.Cancelled, "the caller went away")));
            _serverCancelled.Cancel();
        });
    }

    void End()
    {
        _over = true;
        _network.Closed(this);
    }

    sealed class Writer<T>(Action<T> send, Action complete) : IClientStreamWriter<T>, IServerStreamWriter<T>
    {
        public WriteOptions? WriteOptions { get; set; }

        public Task WriteAsync(T message)
        {
            try
            {
                send(message);
                return Task.CompletedTask;
            }
            catch (InvalidOperationException e)
            {
                return Task.FromException(e);
            }
        }

        public Task WriteAsync(T message, CancellationToken cancellationToken) =>
            cancellationToken.IsCancellationRequested ? Task.FromCanceled(cancellationToken) : WriteAsync(message);

        public Task CompleteAsync()
        {
            complete();
            return Task.CompletedTask;
        }
    }

    /// <param name="cancelled">Of the call: whoever reads then is cancelled.</param>
    sealed class Reader<T>(SimStream<T> stream, CancellationToken cancelled) : IAsyncStreamReader<T> where T : class
    {
        public T Current => stream.Current;

        public Task<bool> MoveNext(CancellationToken cancellationToken) => stream.MoveNextAsync(cancelled, cancellationToken);
    }
}
