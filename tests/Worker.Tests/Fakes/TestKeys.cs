using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Worker.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>The keys that tests show to workers.</summary>
static class TestKeys
{
    /// <summary>Of all views.</summary>
    public static PeerKey View { get; } = PeerKey.Create();

    /// <summary>What a coordinator or another worker of the view would use: each call shows the key that its service takes.</summary>
    public static CallInvoker WithKeys(this GrpcChannel channel, WorkerHost host)
    {
        var owner = host.Services.GetRequiredService<ClusterOwner>();
        if (owner.Key is null) owner.Begin();   // as if it had registered
        return channel.Intercept(new KeyInterceptor(owner));
    }

    sealed class KeyInterceptor(ClusterOwner owner) : Interceptor
    {
        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation) =>
            continuation(request, WithKey(context));

        public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncServerStreamingCallContinuation<TRequest, TResponse> continuation) =>
            continuation(request, WithKey(context));

        public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
            ClientInterceptorContext<TRequest, TResponse> context, AsyncDuplexStreamingCallContinuation<TRequest, TResponse> continuation) =>
            continuation(WithKey(context));

        ClientInterceptorContext<TRequest, TResponse> WithKey<TRequest, TResponse>(ClientInterceptorContext<TRequest, TResponse> context)
            where TRequest : class
            where TResponse : class
        {
            var ofView = context.Method.ServiceName == Wire.Activations.Descriptor.FullName || context.Method.ServiceName == Wire.Reduce.Descriptor.FullName;
            var ofMeter = context.Method.Name == "Echo";
            var ofFetcher = context.Method.ServiceName == Wire.KvTransfer.Descriptor.FullName;
            var ofWeights = context.Method.ServiceName == Wire.PeerWeights.Descriptor.FullName;
            var key = ofWeights ? owner.Key!.For(PeerKey.Weights)
                : ofView ? View
                : ofMeter ? owner.Key!.For(PeerKey.LinkMeter)
                : ofFetcher ? owner.Key!.For(PeerKey.KvTransfer)
                : owner.Key!;
            return new(context.Method, context.Host, context.Options.WithHeaders(context.Options.Headers ?? key.ToHeaders()));
        }
    }
}
