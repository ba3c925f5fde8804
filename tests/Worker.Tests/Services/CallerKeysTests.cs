using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.DependencyInjection;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Services;

/// <summary>Whoever reaches a worker's port without the right key can do nothing to it.</summary>
public class CallerKeysTests(ModelFile file) : IClassFixture<ModelFile>
{
    public static TheoryData<string> WrongKeys => ["none", "stranger's", "view's", "link meter's"];

    [Theory]
    [MemberData(nameof(WrongKeys))]
    public async Task A_call_without_the_right_key_is_refused_before_it_is_read(string which)
    {
        await using var worker = await TestWorker.StartAsync();
        await TestPipeline.AssignAsync(worker, Plan(worker, 1), 0, file.Path);
        var owner = worker.Host.Services.GetRequiredService<ClusterOwner>().Key!;
        var headers = which switch
        {
            "stranger's" => PeerKey.Create().ToHeaders(),
            "view's" => TestKeys.View.ToHeaders(),
            "link meter's" => owner.For(PeerKey.LinkMeter).ToHeaders(),
            _ => [],
        };
        var huge = TestPipeline.Assignment(Plan(worker, ulong.MaxValue), 0, file.Path);
        huge.ViewKey = TestKeys.View.ToMessage();

        await RefusedAsync(new Wire.Assignments.AssignmentsClient(worker.Channel).Assign(huge, headers).ResponseStream);
        await RefusedAsync(new Wire.Assignments.AssignmentsClient(worker.Channel)
            .SetAdapters(new Wire.SetAdaptersRequest { ViewVersion = 1 }, headers).ResponseStream);
        await RefusedAsync(new Wire.Steps.StepsClient(worker.Channel).Run(headers).ResponseStream);
        if (which != "view's")
        {
            await RefusedAsync(new Wire.Activations.ActivationsClient(worker.Channel).Send(headers).ResponseStream);
            await RefusedAsync(new Wire.Reduce.ReduceClient(worker.Channel).Exchange(headers).ResponseStream);
        }
        await RefusedAsync(new Wire.KvTransfer.KvTransferClient(worker.Channel).Fetch(new Wire.FetchKvRequest { ViewVersion = 9 }, headers).ResponseStream);
        await RefusedAsync(new Wire.PeerWeights.PeerWeightsClient(worker.Channel).Give(new Wire.GiveRequest(), headers).ResponseStream);
        if (which != "link meter's") await RefusedAsync(new Wire.Links.LinksClient(worker.Channel).Echo(headers).ResponseStream);
        var measure = new Wire.Links.LinksClient(worker.Channel).MeasureAsync(new Wire.MeasureLinkRequest(), headers);
        Assert.Equal(StatusCode.Unauthenticated, (await Assert.ThrowsAsync<RpcException>(() => measure.ResponseAsync.Soon())).StatusCode);

        // The worker is as it was: its view runs, and the next one is taken.
        await using var pipeline = await TestPipeline.OpenAsync([worker], Plan(worker, 1));
        await TestPipeline.AssignAsync(worker, Plan(worker, 2), 0, file.Path);
    }

    [Fact]
    public async Task A_strangers_large_message_is_refused_before_it_has_come()
    {
        await using var worker = await TestWorker.StartAsync();
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, worker.Host.Address.Port);
        var connection = client.GetStream();
        byte[] headers =
        [
            .. Field(":method", "POST"), .. Field(":scheme", "http"), .. Field(":authority", "worker"),
            .. Field(":path", $"/{Wire.Activations.Descriptor.FullName}/Send"), .. Field("content-type", "application/grpc"),
        ];
        byte[] beginning = [0, 0, 0x40, 0, 0, .. new byte[1000]];   // of a message of 4 MiB
        await connection.WriteAsync((byte[])
        [
            .. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8,
            .. Frame(Settings, 0, 0, []), .. Frame(Headers, EndHeaders, 1, headers), .. Frame(Data, 0, 1, beginning),
        ]);

        byte type, flags;
        byte[] payload;
        do (type, flags, payload) = await ReadFrameAsync(connection).Soon();
        while (type != Headers);
        Assert.Equal(EndHeaders | EndStream, flags);
        Assert.Contains("grpc-status\u000216", System.Text.Encoding.Latin1.GetString(payload));
    }

    const byte Data = 0, Headers = 1, Settings = 4;
    const byte EndStream = 1, EndHeaders = 4;

    /// <summary>A header field of HTTP/2, written out (RFC 7541, 6.2.2).</summary>
    static byte[] Field(string name, string value) =>
        [0, (byte)name.Length, .. System.Text.Encoding.ASCII.GetBytes(name), (byte)value.Length, .. System.Text.Encoding.ASCII.GetBytes(value)];

    /// <summary>A frame of HTTP/2 (RFC 9113, 4.1).</summary>
    static byte[] Frame(byte type, byte flags, int stream, byte[] payload)
    {
        var head = new byte[9];
        BinaryPrimitives.WriteInt32BigEndian(head, payload.Length << 8 | type);
        head[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(5), stream);
        return [.. head, .. payload];
    }

    static async Task<(byte Type, byte Flags, byte[] Payload)> ReadFrameAsync(Stream connection)
    {
        var head = new byte[9];
        await connection.ReadExactlyAsync(head);
        var payload = new byte[BinaryPrimitives.ReadInt32BigEndian(head) >>> 8];
        await connection.ReadExactlyAsync(payload);
        return (head[3], head[4], payload);
    }

    [Fact]
    public async Task Anyone_may_ask_for_a_proof_and_learns_nothing_of_the_key()
    {
        await using var worker = await TestWorker.StartAsync();
        var owner = worker.Host.Services.GetRequiredService<ClusterOwner>().Key!;
        var challenge = Google.Protobuf.ByteString.CopyFrom(new byte[PeerKey.Length]);
        var reply = await new Wire.Identity.IdentityClient(worker.Channel).ConfirmAsync(new Wire.ConfirmRequest { Challenge = challenge }).ResponseAsync.Soon();
        Assert.True(owner.IsProven(challenge, reply.Proof));
        Assert.False(owner.Matches(Convert.ToHexStringLower(reply.Proof.Span)));
        Assert.False(owner.For(PeerKey.LinkMeter).Matches(Convert.ToHexStringLower(reply.Proof.Span)));
    }

    [Fact]
    public async Task An_order_of_another_epoch_is_refused()
    {
        await using var worker = await TestWorker.StartAsync();
        var request = TestPipeline.Assignment(Plan(worker, 1), 0, file.Path);
        request.Epoch = 3;
        var error = await Assert.ThrowsAsync<RpcException>(() => worker.Assignments.Assign(request).ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.Equal((StatusCode.FailedPrecondition, "the order is of epoch 3; this worker belongs to epoch 0"), (error.StatusCode, error.Status.Detail));
    }

    Planning.Plans.ClusterPlan Plan(TestWorker worker, ulong view) => TestPipeline.PlanOf([worker], file.Digest, file.Layers, view);

    static async Task RefusedAsync<T>(IAsyncStreamReader<T> replies)
    {
        var error = await Assert.ThrowsAsync<RpcException>(() => replies.MoveNext(CancellationToken.None).Soon());
        Assert.Equal(StatusCode.Unauthenticated, error.StatusCode);
        Assert.StartsWith("the call shows no key", error.Status.Detail);
    }
}
