using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Services;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Worker.Tests.Services;

/// <summary>What is measured of peers that answer, and what becomes of those that do not.</summary>
public sealed class NetworkMeasurementTests
{
    static readonly LinkProbe Answer = new();

    [Fact]
    public async Task On_loopback_a_trip_takes_microseconds_and_a_second_carries_megabytes()
    {
        await using var worker = await TestWorker.StartAsync();

        var (roundTrip, bytesPerSecond) = await NetworkMeasurement.RunAsync(
            new Protos.Links.LinksClient(worker.Calls),
            worker.Host.Services.GetRequiredService<ClusterOwner>().Key!.For(PeerKey.LinkMeter), CancellationToken.None).Soon();

        Assert.InRange(roundTrip, 5e-6, 0.1);
        Assert.InRange(bytesPerSecond, 5e6, 1e12);
    }

    [Fact]
    public async Task Probes_are_as_many_and_as_large_as_the_other_end_takes()
    {
        var echo = Honest();
        await MeasureAsync(echo).Soon();

        Assert.InRange(echo.Sizes.Count, 10, LinksService.MaxProbes / 2);
        Assert.All(echo.Sizes, size => Assert.InRange(size, 0, MessageBudgets.FramePayload));
        Assert.True(echo.Sizes.Max() >= 64 << 10, "no probe had bytes enough to tell a rate by");
    }

    /// <summary>Of the first trips connections and code are made; of the others the best counts.</summary>
    [Fact]
    public async Task Slow_trips_do_not_count()
    {
        using var slow = new ManualResetEventSlim();
        var echo = new FakeEcho
        {
            OnProbe = async (number, answers, cancellation) =>
            {
                if (number is < 4 or 9 or 10) slow.Wait(TimeSpan.FromMilliseconds(150), cancellation);
                await answers.WriteAsync(Answer, cancellation);
                return true;
            },
        };

        Assert.InRange((await MeasureAsync(echo).Soon()).RoundTripSeconds, 5e-6, 0.1);
    }

    [Fact]
    public async Task A_peer_that_ends_the_stream_is_no_link()
    {
        var failure = await Assert.ThrowsAsync<RpcException>(
            () => MeasureAsync(new FakeEcho { OnProbe = (number, answers, cancellation) => Task.FromResult(false) }).Soon());

        Assert.Contains("it ended the stream of probes", failure.Status.Detail);
    }

    [Fact]
    public async Task A_peer_that_answers_too_much_at_once_is_refused()
    {
        var large = new LinkProbe { Payload = ByteString.CopyFrom(new byte[MessageBudgets.Received + 1]) };

        var failure = await Assert.ThrowsAsync<RpcException>(() => MeasureAsync(new FakeEcho
        {
            OnProbe = async (_, answers, cancellation) =>
            {
                await answers.WriteAsync(large, cancellation);
                return true;
            },
        }).Soon());

        Assert.Equal(StatusCode.ResourceExhausted, failure.StatusCode);
    }

    [Fact]
    public async Task A_peer_that_falls_silent_is_waited_for_until_the_deadline_only()
    {
        using var deadline = new CancellationTokenSource();
        var echo = new FakeEcho
        {
            OnProbe = async (number, answers, cancellation) =>
            {
                if (number < 7) await answers.WriteAsync(Answer, cancellation);
                else await deadline.CancelAsync();
                return true;
            },
        };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => MeasureAsync(echo, deadline.Token).Soon());
    }

    /// <summary>A port that takes connections and says nothing, as a frozen machine's does; and one that speaks something else.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]
    public async Task A_port_that_is_no_worker_is_named_within_the_deadline(string says)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = new Uri($"http://{listener.LocalEndpoint}");
        await using var worker = await TestWorker.StartAsync();
        var measuring = new Protos.Links.LinksClient(worker.Calls)
            .MeasureAsync(
                new MeasureLinkRequest { Address = PeerAddress.Format(address), Key = TestKeys.View.ToMessage() }, deadline: Deadline.Call).ResponseAsync;

        using var accepted = await listener.AcceptSocketAsync().Soon();
        await accepted.SendAsync(System.Text.Encoding.ASCII.GetBytes(says));

        var failure = await Assert.ThrowsAsync<RpcException>(() => measuring.WaitAsync(NetworkMeasurement.Deadline * 2));
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.StartsWith($"the way to {PeerAddress.Format(address)} could not be measured: ", failure.Status.Detail);
    }

    static FakeEcho Honest() => new()
    {
        OnProbe = async (_, answers, cancellation) =>
        {
            await answers.WriteAsync(Answer, cancellation);
            return true;
        },
    };

    static async Task<(double RoundTripSeconds, double BytesPerSecond)> MeasureAsync(FakeEcho echo, CancellationToken cancellation = default)
    {
        await using var service = await LoopbackService.StartAsync(echo);
        using var channel = new PeerChannels().Open(service.Address);
        return await NetworkMeasurement.RunAsync(new Protos.Links.LinksClient(channel), TestKeys.View, cancellation);
    }
}
