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

/// <summary>Gives workers without the model's files the parts of tensors that their shards need.</summary>
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
        var parts = request.Tensors.Select(Find).ToList();   // all are checked before the first byte is sent
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        for (var index = 0; index < parts.Count; index++)
            foreach (var chunk in Read(parts[index]))
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

    TensorPart Find(TensorRows asked)
    {
        if (weights.Files.Find(asked.Name) is not { } tensor) throw new InvalidMessageException("tensors: there is no tensor of this name in the model");
        var part = TensorPart.Rows(tensor, Index(asked.FirstRow), Index(asked.RowCount));
        if (asked.ColumnCount > 0) part = part with { FirstColumn = Index(asked.FirstColumn), ColumnCount = Index(asked.ColumnCount) };
        var problem = part.RowCount == 0 ? $"no rows of {tensor.Name} are asked for" : part.FirstProblem();
        return problem is null ? part : throw new InvalidMessageException($"tensors: {problem}");
    }

    /// <summary>What is too great for a long is too great for any tensor.</summary>
    static long Index(ulong asked) => (long)Math.Min(asked, long.MaxValue);

    /// <summary>The bytes of a part. A chunk's data is valid until the next one is asked for.</summary>
    IEnumerable<WeightChunk> Read(TensorPart part)
    {
        var rowsAtOnce = Math.Min(part.RowCount, Math.Max(1, MessageBudgets.FramePayload / part.RowBytes));
        var buffer = new byte[checked((int)(rowsAtOnce * part.RowBytes))];
        for (var row = 0L; row < part.RowCount; row += rowsAtOnce)
        {
            var piece = part.Piece(row, Math.Min(rowsAtOnce, part.RowCount - row));
            var read = buffer.AsMemory(0, (int)piece.Bytes);
            weights.Files.ReadPart(piece, read.Span);
            for (var offset = 0; offset < read.Length; offset += MessageBudgets.FramePayload)   // more than once only for a very long row
            {
                var data = read[offset..Math.Min(read.Length, offset + MessageBudgets.FramePayload)];
                yield return new WeightChunk
                {
                    Offset = (ulong)(row * part.RowBytes + offset),
                    Data = UnsafeByteOperations.UnsafeWrap(data),
                    Crc32C = Crc32C.Compute(data.Span),
                    LastOfTensor = row + rowsAtOnce >= part.RowCount && offset + data.Length == read.Length,
                };
            }
        }
    }
}
