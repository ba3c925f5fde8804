using Grpc.Core;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Orders;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// The Weights service of the coordinator that this worker is registered with, asked for one model. It is never another one: what this worker keeps
/// under a model's digest, and what it compares its own files with, is what its own coordinator says.
/// </summary>
/// <param name="adapter">The digest of an adapter, which is asked for in the model's place. Null: the model.</param>
sealed class CoordinatorWeights(PeerChannels channels, ClusterOwner owner, WorkerOptions options, LoadOrder order, string? adapter = null) : IDisposable
{
    readonly GrpcChannel _channel = channels.Open(options.Coordinator);

    public string Digest => adapter ?? order.Plan.ModelDigest;

    /// <summary>Whether workers give each other parts; adapters come from the coordinator alone.</summary>
    public bool AreShared => adapter is null && order.SharesWeights;

    public ulong ViewVersion => order.Plan.ViewVersion;

    Wire.Weights.WeightsClient Client => new(_channel);

    public static Wire.TensorRows ToMessage(TensorPart part) => new()
    {
        Name = part.Tensor.Name,
        FirstRow = (ulong)part.FirstRow,
        RowCount = (ulong)part.RowCount,
        FirstColumn = (ulong)part.FirstColumn,
        ColumnCount = (ulong)part.ColumnCount,
    };

    /// <exception cref="RpcException">It does not describe the model. The status says why.</exception>
    public Task<DescribedModel> DescribeAsync(CancellationToken cancellation) => AskAsync(async () =>
    {
        var request = new Wire.DescribeModelRequest { ViewVersion = ViewVersion, ModelDigest = Digest };
        var deadline = DateTime.UtcNow + RpcSettings.CallDeadline;
        return (await Client.DescribeAsync(request, owner.Headers, deadline, cancellation)).ToModel(Digest);
    }, cancellation);

    /// <summary>What parts of the model must hash to. The coordinator may have to read them first; it tells meanwhile how far it is.</summary>
    /// <param name="progress">Gets how many bytes are done so far.</param>
    /// <exception cref="RpcException">It does not say. The status says why.</exception>
    public Task<IReadOnlyDictionary<TensorPart, string>> HashesAsync(
        IReadOnlyList<TensorPart> parts, IProgress<long> progress, CancellationToken cancellation) =>
        AskAsync<IReadOnlyDictionary<TensorPart, string>>(async () =>
        {
            var hashes = new Dictionary<TensorPart, string>();
            if (parts.Count == 0) return hashes;
            using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var request = new Wire.HashRequest { ViewVersion = ViewVersion, ModelDigest = Digest, Tensors = { parts.Select(ToMessage) } };
            using var call = Client.Hash(request, owner.Headers, cancellationToken: waiting.Token);
            var done = 0L;
            foreach (var (index, part) in parts.Index())
            {
                string? hash;
                while ((hash = Read(await NextAsync(call.ResponseStream, waiting, cancellation), (uint)index, part, done, progress)) is null) { }
                hashes.Add(part, hash);
                progress.Report(done += part.Bytes);
            }
            return hashes;
        }, cancellation);

    /// <summary>The call in which the coordinator says which workers have which parts. It begins with <see cref="Hello"/>.</summary>
    public AsyncDuplexStreamingCall<Wire.ShareRequest, Wire.ShareReply> Share(CancellationToken cancellation) =>
        Client.Share(owner.Headers, cancellationToken: cancellation);

    /// <param name="here">What others can have from this worker. Null: all of the model.</param>
    public Wire.ShareRequest Hello(IReadOnlyList<TensorPart>? here, IReadOnlyList<TensorPart> wanted) => new()
    {
        ViewVersion = ViewVersion,
        ModelDigest = Digest,
        AllHere = here is null,
        Here = { (here ?? []).Select(ToMessage) },
        Wanted = { wanted.Select(ToMessage) },
    };

    /// <summary>What a worker is asked for that has a part.</summary>
    /// <param name="hash">What the part must hash to. Null: not known.</param>
    public Wire.GiveRequest Asking(TensorPart part, string? hash) =>
        new() { ViewVersion = ViewVersion, ModelDigest = Digest, Part = ToMessage(part), PartHash = hash ?? "" };

    /// <summary>Tells the coordinator what others can have from this worker.</summary>
    /// <param name="here">Null: all of the model.</param>
    /// <exception cref="RpcException">It does not want to know. The status says why.</exception>
    public Task TellAsync(IReadOnlyList<TensorPart>? here, CancellationToken cancellation) => AskAsync(async () =>
    {
        using var call = Client.Share(owner.Headers, DateTime.UtcNow + RpcSettings.CallDeadline, cancellation);
        await call.RequestStream.WriteAsync(Hello(here, []), cancellation);
        await call.RequestStream.CompleteAsync();
        return await call.ResponseStream.MoveNext(cancellation);
    }, cancellation);

    /// <summary>One call that fetches parts into the cache; see <see cref="WeightsFetch"/>.</summary>
    public WeightsFetch Fetch(WeightsCache cache) => new(Client, owner, cache, order, Digest, options.PeerTimeout);

    /// <summary>Does work that calls the coordinator, and gives its failures one form.</summary>
    public async Task<T> AskAsync<T>(Func<Task<T>> work, CancellationToken cancellation)
    {
        try
        {
            return await work();
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested && ToStatus(e) is var (code, problem))
        {
            throw new RpcException(new Status(code, $"weights from {PeerAddress.Format(options.Coordinator)}: {problem}"));
        }
    }

    public void Dispose() => _channel.Dispose();

    static (StatusCode Code, string Problem)? ToStatus(Exception e) => e switch
    {
        InvalidMessageException or FetchException => (StatusCode.DataLoss, e.Message),
        // It is not this worker that is unavailable.
        RpcException { StatusCode: StatusCode.Unavailable } or OperationCanceledException => (StatusCode.Aborted, RpcProblem.Describe(e)),
        RpcException rpc => (rpc.StatusCode, RpcProblem.Describe(e)),
        _ => null,
    };

    async Task<Wire.HashReply> NextAsync(IAsyncStreamReader<Wire.HashReply> replies, CancellationTokenSource waiting, CancellationToken cancellation)
    {
        try
        {
            waiting.CancelAfter(options.PeerTimeout);
            return await replies.MoveNext(waiting.Token) ? replies.Current : throw new FetchException("the stream of hashes ended early");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new FetchException($"no hashes came for {options.PeerTimeout.TotalSeconds:0.##} s");
        }
        finally
        {
            waiting.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }

    /// <returns>Null while the hash is not known.</returns>
    string? Read(Wire.HashReply reply, uint index, TensorPart part, long done, IProgress<long> progress)
    {
        if (reply.ViewVersion != ViewVersion) throw new FetchException($"a hash is of view {reply.ViewVersion}, not {ViewVersion}");
        if (reply.TensorIndex != index)
            throw new FetchException($"the hash of tensor {reply.TensorIndex} came where that of {index} ({part.Tensor.Name}) is next");
        if (reply.PartHash.Length > 0) return Field.Digest("part_hash", reply.PartHash);
        progress.Report(done + (long)Math.Min(reply.BytesRead, (ulong)part.Bytes));
        return null;
    }
}
