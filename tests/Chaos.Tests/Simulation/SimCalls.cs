using Grpc.Core;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>Calls from one process to whoever listens at an address.</summary>
sealed class SimCalls(SimNetwork network, SimProcess from, Uri address) : CallInvoker, IDisposable
{
    readonly CancellationTokenSource _closed = new();

    public void Dispose() => _closed.Cancel();

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var call = Start(method, options);
        return new(call.ClientWriter, call.ClientReader, Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], call.Cancel);
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = Start(method, options);
        call.SendOnly(request);
        return new(call.ClientReader, Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], call.Cancel);
    }

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var call = Start(method, options);
        call.SendOnly(request);
        return new(call.OnlyResponseAsync(), Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], call.Cancel);
    }

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        throw new NotSupportedException();

    SimCall<TRequest, TResponse> Start<TRequest, TResponse>(Method<TRequest, TResponse> method, CallOptions options)
        where TRequest : class where TResponse : class =>
        new(network, from, address, method.FullName, options.Headers ?? [], options.CancellationToken, _closed.Token);
}
