using System.Collections.Concurrent;
using System.Net;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using static LlamaCluster.Protos.LoadProgress.Types;

namespace LlamaCluster.Long.Tests;

/// <summary>
/// Very many workers in one process, each with an address, a registration and heartbeats of its own. They compute nothing: a step takes them
/// <see cref="StepTime"/>, and every sample is the same token.
/// </summary>
sealed class StandInWorkers : IAsyncDisposable
{
    const int TheToken = ByteVocabulary.FirstByte + 'a';

    /// <summary>As long as a large model takes, so that two processors are enough for all these workers and their coordinator.</summary>
    static readonly TimeSpan StepTime = TimeSpan.FromSeconds(0.5);

    readonly WebApplication _app;
    readonly ConcurrentDictionary<int, StandIn> _byPort = [];
    readonly CancellationTokenSource _end = new();
    readonly List<Task> _memberships = [];

    StandInWorkers(WebApplication app) => _app = app;

    public static async Task<StandInWorkers> StartAsync(int count)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddClusterRpc().AddLargeMessages<AssignmentsOfAll>().AddLargeMessages<StepsOfAll>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            for (var i = 0; i < count; i++) kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
        });
        StandInWorkers? workers = null;
        builder.Services.AddSingleton(_ => workers!);
        var app = builder.Build();
        workers = new StandInWorkers(app);
        app.MapGrpcService<IdentityOfAll>();
        app.MapGrpcService<AssignmentsOfAll>();
        app.MapGrpcService<StepsOfAll>();
        await app.StartAsync();
        var addresses = app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses;
        foreach (var address in addresses.Select(text => new Uri(text)))
            workers._byPort[address.Port] = new StandIn(address, PeerKey.Create());
        return workers;
    }

    /// <summary>All register, over a connection each, and send heartbeats until the end.</summary>
    public async Task JoinAsync(Uri coordinator)
    {
        foreach (var worker in _byPort.Values)
        {
            var registered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _memberships.Add(StayAsync(worker, coordinator, registered));
            await registered.Task.Soon($"{worker.Address} is taken in");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_memberships).ContinueWith(_ => { }, TaskScheduler.Default).Soon("all leave");   // the coordinator may be gone already
        await _app.StopAsync(new CancellationToken(canceled: true));
        await _app.DisposeAsync();
        _end.Dispose();
    }

    StandIn At(ServerCallContext context) => _byPort[context.GetHttpContext().Connection.LocalPort];

    async Task StayAsync(StandIn worker, Uri coordinator, TaskCompletionSource registered)
    {
        try
        {
            using var channel = new PeerChannels().Open(coordinator);
            var client = new Membership.MembershipClient(channel);
            var reply = await client.RegisterAsync(
                new RegisterRequest
                {
                    ProtocolVersion = ProtocolVersion.Current,
                    Name = $"machine-{worker.Address.Port}",
                    Address = PeerAddress.Format(worker.Address),
                    Key = worker.Key.ToMessage(),
                    InstanceId = ByteString.CopyFrom(Guid.NewGuid().ToByteArray()),
                },
                cancellationToken: _end.Token);
            using var call = client.Heartbeat(worker.Key.ToHeaders(new WorkerId(reply.WorkerId)), cancellationToken: _end.Token);
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(reply.HeartbeatIntervalMilliseconds));
            for (ulong number = 1; ; number++)
            {
                await call.RequestStream.WriteAsync(
                    new HeartbeatRequest { WorkerId = reply.WorkerId, ViewVersion = worker.View, SequenceNumber = number, State = WorkerState.Ready },
                    _end.Token);
                Assert.True(await call.ResponseStream.MoveNext(_end.Token), "the coordinator ended a stream of heartbeats");
                registered.TrySetResult();
                await timer.WaitForNextTickAsync(_end.Token);
            }
        }
        catch (Exception e) when (_end.IsCancellationRequested && e is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            // the end
        }
        catch (Exception e)
        {
            registered.TrySetException(e);
            throw;
        }
    }

    sealed record StandIn(Uri Address, PeerKey Key)
    {
        /// <summary>The last that it was assigned.</summary>
        public ulong View { get; set; }

        /// <summary>Whether it is the one that samples.</summary>
        public bool Samples { get; set; }

        public int Stage { get; set; }
    }

    sealed class IdentityOfAll(StandInWorkers workers) : Identity.IdentityBase
    {
        public override Task<ConfirmReply> Confirm(ConfirmRequest request, ServerCallContext context) =>
            Task.FromResult(new ConfirmReply { Proof = workers.At(context).Key.Prove(request.Challenge) });
    }

    sealed class AssignmentsOfAll(StandInWorkers workers) : Assignments.AssignmentsBase
    {
        public override async Task Assign(AssignRequest request, IServerStreamWriter<LoadProgress> responses, ServerCallContext context)
        {
            var (worker, plan) = (workers.At(context), request.Plan.ToPlan());
            var part = plan.Find(new WorkerId(request.WorkerId))!;
            (worker.View, worker.Stage, worker.Samples) = (plan.ViewVersion, part.Stage, part.Stage == plan.StageCount - 1 && part.Shard.Slice.Rank == 0);
            await responses.WriteAsync(new LoadProgress
            {
                ViewVersion = plan.ViewVersion,
                Phase = Phase.Ready,
                BytesDone = 1,
                BytesTotal = 1,
                Source = "nowhere",
                ModelDigest = plan.ModelDigest,
                KvBlockCount = request.KvBlockCount,
            });
        }
    }

    sealed class StepsOfAll(StandInWorkers workers) : Steps.StepsBase
    {
        public override async Task Run(IAsyncStreamReader<StepRequest> requests, IServerStreamWriter<StepReply> replies, ServerCallContext context)
        {
            var worker = workers.At(context);
            using var timer = new PeriodicTimer(StepTime);
            while (await requests.MoveNext(context.CancellationToken))
                switch (requests.Current)
                {
                    case { Open: { } open }:
                        await replies.WriteAsync(new StepReply { Opened = new StepsOpened { ViewVersion = open.ViewVersion, Stage = (uint)worker.Stage } });
                        break;
                    case { Step: { } step }:
                        await timer.WaitForNextTickAsync(context.CancellationToken);
                        await replies.WriteAsync(Answer(worker, step));
                        break;
                }
        }

        static StepReply Answer(StandIn worker, StepPlan step)
        {
            var timings = new StepTimings
            {
                Rows = (uint)step.Chunks.Sum(chunk => chunk.Count),
                ComputeMicroseconds = 1000,
                ActivationBytes = 4096,
                SyncBytes = 4096,
            };
            if (!worker.Samples) return new StepReply { Done = new StepDone { ViewVersion = step.ViewVersion, StepId = step.StepId, Timings = timings } };
            var result = new StepResult { ViewVersion = step.ViewVersion, StepId = step.StepId, Timings = timings };
            foreach (var chunk in step.Chunks)
                if (chunk.SampleCount > 0)
                    result.Sequences.Add(new SequenceResult { SequenceId = chunk.SequenceId, Tokens = { new SampledToken { Id = TheToken } } });
            return new StepReply { Result = result };
        }
    }
}
