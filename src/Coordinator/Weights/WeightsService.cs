using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Checksums;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;
using Microsoft.Extensions.Hosting;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>Gives workers without the model's files the tensor rows that their shards need.</summary>
public sealed class WeightsService(ServedWeights weights, IHostApplicationLifetime lifetime) : Wire.Weights.WeightsBase
{
    public override Task<ModelDescription> Describe(DescribeModelRequest request, ServerCallContext context)
    {
        CheckDigest(request.ModelDigest);
        return Task.FromResult(ModelDescriptions.Describe(weights));
    }

    public override async Task Fetch(FetchRequest request, IServerStreamWriter<WeightChunk> chunks, ServerCallContext context)
    {
        CheckDigest(request.ModelDigest);
        var ranges = request.Tensors.Select(Find).ToList();   // all are checked before the first byte is sent
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        for (var index = 0; index < ranges.Count; index++)
            foreach (var chunk in Read(ranges[index]))
            {
                (chunk.ViewVersion, chunk.TensorIndex) = (request.ViewVersion, (uint)index);
                await chunks.WriteAsync(chunk, ends.Token);
            }
    }

    void CheckDigest(string digest)
    {
        if (Field.Digest("model_digest", digest) != weights.Digest)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"model {digest} is not served here; {weights.Digest} ({weights.Name}) is"));
    }

    (TensorInfo Tensor, long FirstRow, long Rows) Find(TensorRows asked)
    {
        if (weights.Files.Find(asked.Name) is not { } tensor) throw new InvalidMessageException("tensors: there is no tensor of this name in the model");
        if (asked.RowCount < 1 || asked.FirstRow >= (ulong)tensor.Rows || asked.RowCount > (ulong)tensor.Rows - asked.FirstRow)
            throw new InvalidMessageException($"tensors: {asked.RowCount} rows from {asked.FirstRow} of {tensor.Name} are not in its {tensor.Rows} rows");
        return (tensor, (long)asked.FirstRow, (long)asked.RowCount);
    }

    /// <summary>The bytes of a range of rows. A chunk's data is valid until the next one is asked for.</summary>
    IEnumerable<WeightChunk> Read((TensorInfo Tensor, long FirstRow, long Rows) range)
    {
        var (tensor, firstRow, rows) = range;
        var rowsAtOnce = Math.Min(rows, Math.Max(1, MessageBudgets.FramePayload / tensor.RowBytes));
        var buffer = new byte[checked((int)(rowsAtOnce * tensor.RowBytes))];
        for (var row = 0L; row < rows; row += rowsAtOnce)
        {
            var read = buffer.AsMemory(0, (int)(Math.Min(rowsAtOnce, rows - row) * tensor.RowBytes));
            weights.Files.ReadRows(tensor, firstRow + row, read.Span);
            for (var offset = 0; offset < read.Length; offset += MessageBudgets.FramePayload)   // more than once only for a very long row
            {
                var data = read[offset..Math.Min(read.Length, offset + MessageBudgets.FramePayload)];
                yield return new WeightChunk
                {
                    Offset = (ulong)(row * tensor.RowBytes + offset),
                    Data = UnsafeByteOperations.UnsafeWrap(data),
                    Crc32C = Crc32C.Compute(data.Span),
                    LastOfTensor = row + rowsAtOnce >= rows && offset + data.Length == read.Length,
                };
            }
        }
    }
}
