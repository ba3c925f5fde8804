using System.IO.Hashing;
using Grpc.Core;
using Grpc.Core.Interceptors;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Client = LlamaCluster.Protos.Weights.WeightsClient;

namespace LlamaCluster.Coordinator.Tests.Sharing;

public sealed class WeightsServiceTests : IAsyncLifetime
{
    const string BigTensor = LlamaTensors.Embedding;
    readonly IModelWeights _files = ModelFiles.Open(TestCluster.Options.ModelPath);
    TestCluster _cluster = null!;
    Client _client = null!;

    public async Task InitializeAsync()
    {
        _cluster = await TestCluster.StartAsync();
        var worker = await _cluster.JoinAsync();
        _client = new Client(_cluster.Channel.Intercept(headers =>
        {
            foreach (var header in worker.Headers) headers.Add(header);
            return headers;
        }));
    }

    public async Task DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _files.Dispose();
    }

    [Fact]
    public async Task The_model_is_described_as_its_files_say()
    {
        var description = await _client.DescribeAsync(new DescribeModelRequest { ModelDigest = _cluster.Host.Model.Digest }).ResponseAsync.Soon();
        var config = _files.Config;
        Assert.Equal((_cluster.Host.Model.Digest, _cluster.Host.Model.Name), (description.ModelDigest, description.ModelName));
        Assert.Equal(
            (config.LayerCount, config.HiddenSize, config.FfnSize),
            ((int)description.Config.LayerCount, (int)description.Config.HiddenSize, (int)description.Config.FfnSize));
        Assert.Equal(
            (config.HeadCount, config.KvHeadCount, config.HeadSize),
            ((int)description.Config.HeadCount, (int)description.Config.KvHeadCount, (int)description.Config.HeadSize));
        Assert.Equal(
            (config.RmsEpsilon, config.RopeTheta, config.TiedEmbeddings),
            (description.Config.RmsEpsilon, description.Config.RopeTheta, description.Config.TiedEmbeddings));
        Assert.Equal(_files.Tensors.Select(tensor => (tensor.Name, (uint)tensor.Type, (ulong)tensor.Rows, (ulong)tensor.Columns)),
            description.Tensors.Select(tensor => (tensor.Name, tensor.Type, tensor.Rows, tensor.Columns)));
    }

    [Fact]
    public async Task Rows_come_as_they_are_stored_in_checked_chunks()
    {
        var (big, small) = (_files.Find(BigTensor)!, _files.Find("blk.0.attn_norm.weight")!);
        var request = Request((BigTensor, 3, (ulong)big.Rows - 5), (small.Name, 0, 1));
        request.ViewVersion = 9;
        var received = new List<byte>[] { [], [] };
        using var call = _client.Fetch(request);
        while (await call.ResponseStream.MoveNext(CancellationToken.None).Soon())
        {
            var chunk = call.ResponseStream.Current;
            var data = received[chunk.TensorIndex];
            Assert.Equal(9ul, chunk.ViewVersion);
            Assert.InRange(chunk.Data.Length, 1, MessageBudgets.FramePayload);
            Assert.Equal((ulong)data.Count, chunk.Offset);
            Assert.Equal(Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, chunk.Data.Span), chunk.Crc32C);
            data.AddRange(chunk.Data.Span);
            Assert.Equal(chunk.LastOfTensor, data.Count == (chunk.TensorIndex == 0 ? (big.Rows - 5) * big.RowBytes : small.Bytes));
            var part = chunk.TensorIndex == 0 ? TensorPart.Rows(big, 3, big.Rows - 5) : TensorPart.Whole(small);
            Assert.Equal(chunk.LastOfTensor ? HashOf(part) : "", chunk.PartHash);
        }
        Assert.Equal(Stored(big, 3, big.Rows - 5), received[0]);
        Assert.Equal(Stored(small, 0, 1), received[1]);
    }

    [Fact]
    public async Task Columns_come_row_after_row()
    {
        var tensor = _files.Find("blk.0.ffn_down.weight")!;
        var part = new TensorPart(tensor, 1, 200, 32, 64);
        var request = Request((tensor.Name, 1, 200));
        (request.Tensors[0].FirstColumn, request.Tensors[0].ColumnCount) = (32, 64);
        var received = new List<byte>();
        using var call = _client.Fetch(request);
        while (await call.ResponseStream.MoveNext(CancellationToken.None).Soon()) received.AddRange(call.ResponseStream.Current.Data.Span);

        var expected = new byte[part.Bytes];
        _files.ReadPart(part, expected);
        Assert.Equal(expected, received);
    }

    [Theory]
    [InlineData(0, 100_000)]
    [InlineData(32, ulong.MaxValue)]
    [InlineData(ulong.MaxValue, 32)]
    [InlineData(16, 32)]
    [InlineData(32, 33)]
    public async Task Columns_that_are_not_there_or_not_whole_blocks_are_refused(ulong first, ulong count)
    {
        var request = Request(("blk.0.ffn_down.weight", 0, 1));
        (request.Tensors[0].FirstColumn, request.Tensors[0].ColumnCount) = (first, count);
        using var call = _client.Fetch(request);
        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
        Assert.Contains("blk.0.ffn_down.weight", error.Status.Detail);
    }

    public static TheoryData<string, ulong, ulong> OutOfBounds => new()
    {
        { "no.such.tensor", 0, 1 },
        { "", 0, 1 },
        { BigTensor, 0, 0 },
        { BigTensor, 0, 100_000 },
        { BigTensor, 2047, 2 },
        { BigTensor, 100_000, 1 },
        { BigTensor, ulong.MaxValue, 2 },
        { BigTensor, 2, ulong.MaxValue },
    };

    [Theory]
    [MemberData(nameof(OutOfBounds))]
    public async Task Rows_that_are_not_there_are_refused_before_anything_is_sent(string tensor, ulong first, ulong count)
    {
        using var call = _client.Fetch(Request((BigTensor, 0, 1), (tensor, first, count)));
        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
        Assert.Contains("tensors", error.Status.Detail);
    }

    [Fact]
    public async Task Hashes_come_in_the_order_asked_for_and_are_those_of_what_is_sent()
    {
        var (big, small) = (_files.Find(BigTensor)!, _files.Find("blk.0.attn_norm.weight")!);
        var tensors = Request((small.Name, 0, 1), (BigTensor, 3, (ulong)big.Rows - 5)).Tensors;
        var request = new HashRequest { ViewVersion = 9, ModelDigest = _cluster.Host.Model.Digest, Tensors = { tensors } };
        var said = new List<HashReply>();
        using var call = _client.Hash(request);
        while (await call.ResponseStream.MoveNext(CancellationToken.None).Soon())
            if (call.ResponseStream.Current is { PartHash.Length: > 0 } reply) said.Add(reply);
        Assert.Equal(
            [(9ul, 0u, HashOf(TensorPart.Whole(small))), (9ul, 1u, HashOf(TensorPart.Rows(big, 3, big.Rows - 5)))],
            said.Select(reply => (reply.ViewVersion, reply.TensorIndex, reply.PartHash)));
    }

    [Theory]
    [InlineData("no.such.tensor", 0, 1)]
    [InlineData(BigTensor, 0, 0)]
    [InlineData(BigTensor, ulong.MaxValue, 2)]
    public async Task Hashes_of_what_is_not_there_are_refused(string tensor, ulong first, ulong count)
    {
        using var call = _client.Hash(new HashRequest { ModelDigest = _cluster.Host.Model.Digest, Tensors = { Request((tensor, first, count)).Tensors } });
        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
    }

    [Theory]
    [InlineData("", StatusCode.InvalidArgument)]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000", StatusCode.FailedPrecondition)]
    public async Task Another_model_is_not_to_be_had(string digest, StatusCode expected)
    {
        var error = await Assert.ThrowsAsync<RpcException>(() => _client.DescribeAsync(new DescribeModelRequest { ModelDigest = digest }).ResponseAsync.Soon());
        Assert.Equal(expected, error.StatusCode);
        using var call = _client.Fetch(new FetchRequest { ModelDigest = digest });
        Assert.Equal(expected, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Soon())).StatusCode);
    }

    FetchRequest Request(params (string Name, ulong First, ulong Count)[] tensors) => new()
    {
        ModelDigest = _cluster.Host.Model.Digest,
        Tensors = { tensors.Select(tensor => new TensorRows { Name = tensor.Name, FirstRow = tensor.First, RowCount = tensor.Count }) },
    };

    string HashOf(TensorPart part) => PartHash.Compute(_files, part, 1, null, CancellationToken.None);

    byte[] Stored(TensorInfo tensor, long first, long rows)
    {
        var bytes = new byte[rows * tensor.RowBytes];
        _files.ReadRows(tensor, first, bytes);
        return bytes;
    }
}
