using System.Threading.Channels;
using Grpc.Core;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>Takes every worker in, unless a test says otherwise, and keeps what it was told.</summary>
sealed class FakeMembership : Wire.Membership.MembershipBase
{
    int _registered;

    public Channel<Wire.RegisterRequest> Registrations { get; } = Channel.CreateUnbounded<Wire.RegisterRequest>();

    public Channel<Wire.HeartbeatRequest> Heartbeats { get; } = Channel.CreateUnbounded<Wire.HeartbeatRequest>();

    public Channel<Wire.DrainRequest> Drains { get; } = Channel.CreateUnbounded<Wire.DrainRequest>();

    /// <summary>May throw, to refuse.</summary>
    public Action<Wire.RegisterRequest> OnRegister { get; set; } = _ => { };

    /// <summary>Whether to answer; false leaves the worker without an answer, an exception ends its stream.</summary>
    public Func<Wire.HeartbeatRequest, bool> OnHeartbeat { get; set; } = _ => true;

    /// <summary>Answers to heartbeats wait for this. If it fails, the stream does too.</summary>
    public Task Answers { get; set; } = Task.CompletedTask;

    /// <summary>What answers to heartbeats say.</summary>
    public bool StandsBy { get; set; }

    public Func<CancellationToken, Task> OnDrain { get; set; } = _ => Task.CompletedTask;

    public TimeSpan HeartbeatInterval { get; set; } = TimeSpan.FromMilliseconds(10);

    public TimeSpan HeartbeatTimeout { get; set; } = TimeSpan.FromSeconds(10);

    public ulong Epoch { get; set; }

    public override Task<Wire.RegisterReply> Register(Wire.RegisterRequest request, ServerCallContext context)
    {
        Registrations.Writer.TryWrite(request);
        OnRegister(request);
        return Task.FromResult(new Wire.RegisterReply
        {
            WorkerId = $"w{Interlocked.Increment(ref _registered)}",
            HeartbeatIntervalMilliseconds = (uint)HeartbeatInterval.TotalMilliseconds,
            HeartbeatTimeoutMilliseconds = (uint)HeartbeatTimeout.TotalMilliseconds,
            Epoch = Epoch,
        });
    }

    public override async Task Heartbeat(
        IAsyncStreamReader<Wire.HeartbeatRequest> requests, IServerStreamWriter<Wire.HeartbeatReply> replies, ServerCallContext context)
    {
        while (await requests.MoveNext(context.CancellationToken))
        {
            Heartbeats.Writer.TryWrite(requests.Current);
            await Answers.WaitAsync(context.CancellationToken);
            if (OnHeartbeat(requests.Current)) await replies.WriteAsync(new Wire.HeartbeatReply
            {
                SequenceNumber = requests.Current.SequenceNumber,
                StandsBy = StandsBy,
            });
        }
    }

    public override async Task<Wire.DrainReply> Drain(Wire.DrainRequest request, ServerCallContext context)
    {
        Drains.Writer.TryWrite(request);
        await OnDrain(context.CancellationToken);
        return new Wire.DrainReply();
    }
}
