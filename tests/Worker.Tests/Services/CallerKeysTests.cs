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
        await RefusedAsync(new Wire.Steps.StepsClient(worker.Channel).Run(headers).ResponseStream);
        if (which != "view's")
        {
            await RefusedAsync(new Wire.Activations.ActivationsClient(worker.Channel).Send(headers).ResponseStream);
            await RefusedAsync(new Wire.Reduce.ReduceClient(worker.Channel).Exchange(headers).ResponseStream);
        }
        if (which != "link meter's") await RefusedAsync(new Wire.Links.LinksClient(worker.Channel).Echo(headers).ResponseStream);
        var measure = new Wire.Links.LinksClient(worker.Channel).MeasureAsync(new Wire.MeasureLinkRequest(), headers);
        Assert.Equal(StatusCode.Unauthenticated, (await Assert.ThrowsAsync<RpcException>(() => measure.ResponseAsync.Soon())).StatusCode);

        // The worker is as it was: its view runs, and the next one is taken.
        await using var pipeline = await TestPipeline.OpenAsync([worker], Plan(worker, 1));
        await TestPipeline.AssignAsync(worker, Plan(worker, 2), 0, file.Path);
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
