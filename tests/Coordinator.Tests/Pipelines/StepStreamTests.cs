using System.Net.Sockets;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Coordinator.Tests.Pipelines;

public sealed class StepStreamTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_connection_that_is_refused_or_breaks_in_the_first_message_is_a_lost_worker(bool breaks)
    {
        var assignment = new ShardAssignment(new WorkerId("w1"), new Uri("http://127.0.0.1:1"), 0, new Shard(new LayerRange(0, 1), TensorSlice.Whole));
        var channel = GrpcChannel.ForAddress(assignment.Address, new GrpcChannelOptions { HttpHandler = new Failing(breaks), DisposeHttpClient = true });
        await using var stream = new StepStream(
            new StageWorker(assignment, "worker1", PeerKey.Create()), new PeerConnection(channel.CreateCallInvoker(), channel));

        var failure = await stream.OpenAsync(viewVersion: 1, new string('0', 64), CancellationToken.None).Soon();

        Assert.Equal((assignment.Worker, true), (failure?.Worker, failure?.WorkerLost));
        Assert.StartsWith("worker worker1 (http://127.0.0.1:1) was lost: ", failure!.Message);
    }

    /// <summary>Fails at once, or as soon as a message is written to it.</summary>
    sealed class Failing(bool breaks) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (breaks)
            {
                var connection = new Broken();
                _ = request.Content!.CopyToAsync(connection, cancellationToken);
                await connection.Written.Task.Soon();
            }
            throw new HttpRequestException("failed", new SocketException((int)SocketError.ConnectionReset));
        }
    }

    /// <summary>A connection's end, to which nothing can be written any more.</summary>
    sealed class Broken : MemoryStream
    {
        public TaskCompletionSource Written { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Written.TrySetResult();
            throw new IOException("the connection broke");
        }
    }
}
