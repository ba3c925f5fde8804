using Grpc.Core;

namespace LlamaCluster.Compat.Tests;

/// <summary>One method per thing the contract assemblies take part in.</summary>
sealed class EchoService(EchoSignals signals) : Echo.EchoBase
{
    public override async Task<EchoMessage> Say(EchoMessage request, ServerCallContext context)
    {
        if (context.RequestHeaders.GetValueBytes("echo-bin") is { } bytes) context.ResponseTrailers.Add("echo-bin", bytes);
        if (context.RequestHeaders.GetValue("authorization") is { } token) context.ResponseTrailers.Add("saw-authorization", token);
        await context.WriteResponseHeadersAsync(new Metadata { { "echo-method", context.Method } });
        return request;
    }

    public override async Task<EchoMessage> Join(IAsyncStreamReader<EchoMessage> requestStream, ServerCallContext context)
    {
        var parts = new List<string>();
        await foreach (var part in requestStream.ReadAllAsync(context.CancellationToken)) parts.Add(part.Text);
        return new EchoMessage { Text = string.Join(' ', parts), Times = parts.Count };
    }

    public override async Task Repeat(EchoMessage request, IServerStreamWriter<EchoMessage> responseStream, ServerCallContext context)
    {
        for (var i = 0; i < request.Times; i++)
            await responseStream.WriteAsync(new EchoMessage { Text = request.Text, Times = i }, context.CancellationToken);
    }

    public override async Task Talk(IAsyncStreamReader<EchoMessage> requestStream, IServerStreamWriter<EchoMessage> responseStream, ServerCallContext context)
    {
        await foreach (var message in requestStream.ReadAllAsync(context.CancellationToken))
            await responseStream.WriteAsync(new EchoMessage { Text = message.Text.ToUpperInvariant() }, context.CancellationToken);
    }

    public override Task<EchoMessage> Fail(EchoMessage request, ServerCallContext context)
        => throw new RpcException(new Status(StatusCode.FailedPrecondition, request.Text), new Metadata { { "why", "asked for" } });

    public override async Task<EchoMessage> Hang(EchoMessage request, ServerCallContext context)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = context.CancellationToken.Register(() => ended.TrySetResult());
        signals.HangStarted.TrySetResult();
        await ended.Task;
        signals.HangCancelled.TrySetResult();
        return request;
    }

    public override Task<EchoMessage> WhoAmI(EchoMessage request, ServerCallContext context) => Task.FromResult(new EchoMessage
    {
        Text = string.Join(',', context.AuthContext.PeerIdentity.Select(p => p.Value)),
        Times = context.AuthContext.IsPeerAuthenticated ? 1 : 0,
    });
}
