using Grpc.Core;
using Grpc.Core.Interceptors;

namespace LlamaCluster.Compat.Tests;

public sealed class InterceptorTests
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Client_interceptors_run_in_the_order_given()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = server.Channel();
        var order = new List<string>();
        var invoker = channel.Intercept(new Recorder("first", order), new Recorder("second", order));
        await new Echo.EchoClient(invoker).SayAsync(new EchoMessage(), deadline: DateTime.UtcNow + Deadline);
        Assert.Equal(["first", "second"], order);
    }

    [Fact]
    public async Task A_server_interceptor_maps_exceptions_to_statuses()
    {
        await using var server = await EchoServer.StartAsync(options => options.Interceptors.Add<Refuse>());
        using var channel = server.Channel();
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).SayAsync(new EchoMessage(), deadline: DateTime.UtcNow + Deadline));
        Assert.Equal(StatusCode.PermissionDenied, failure.StatusCode);
    }

    sealed class Recorder(string name, List<string> order) : Interceptor
    {
        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(TRequest request, ClientInterceptorContext<TRequest, TResponse> context,
            AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
        {
            order.Add(name);
            return continuation(request, context);
        }
    }

    sealed class Refuse : Interceptor
    {
        public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
            => throw new RpcException(new Status(StatusCode.PermissionDenied, "not today"));
    }
}
