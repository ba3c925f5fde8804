using System.IO.Hashing;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Worker.Sources;
using Kind = LlamaCluster.Protos.RopeScalingMessage.Types.Kind;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>Serves a model's tensors as a coordinator does, in small chunks; tests may change what is sent and see what was asked for.</summary>
sealed class FakeWeights(IModelWeights weights) : Wire.Weights.WeightsBase
{
    public string Digest { get; init; } = weights.ComputeDigest();

    public int LayerCount => weights.Config.LayerCount;

    /// <summary>The names in each Fetch request.</summary>
    public List<string[]> Requests { get; } = [];

    public Action<Wire.ModelDescription> OnDescribe { get; set; } = _ => { };

    /// <summary>Called before a chunk is sent, with its number in the call.</summary>
    public Action<Wire.WeightChunk, int> OnChunk { get; set; } = (_, _) => { };

    /// <summary>The names in each Hash request.</summary>
    public List<string[]> HashRequests { get; } = [];

    /// <summary>What a part hashes to, as this coordinator says.</summary>
    public Func<TensorPart, string> HashOf { get; set; } = part => PartHash.Compute(weights, part, 1, null, CancellationToken.None);

    /// <summary>Awaited before each hash is said.</summary>
    public Func<Task> BeforeHash { get; set; } = () => Task.CompletedTask;

    public int ChunkBytes { get; set; } = 1000;

    public override Task<Wire.ModelDescription> Describe(Wire.DescribeModelRequest request, ServerCallContext context)
    {
        if (request.ModelDigest != Digest) throw new RpcException(new Status(StatusCode.NotFound, $"no model {request.ModelDigest} here"));
        var description = new Wire.ModelDescription
        {
            ModelDigest = Digest,
            ModelName = weights.Name,
            Config = Describe(weights.Config),
            Tensors =
            {
                weights.Tensors.Select(t => new Wire.TensorDescription
                {
                    Name = t.Name,
                    Type = (uint)t.Type,
                    Rows = (ulong)t.Rows,
                    Columns = (ulong)t.Columns,
                }),
            },
        };
        OnDescribe(description);
        return Task.FromResult(description);
    }

    public override async Task Fetch(Wire.FetchRequest request, IServerStreamWriter<Wire.WeightChunk> responses, ServerCallContext context)
    {
        lock (Requests) Requests.Add([.. request.Tensors.Select(rows => rows.Name)]);
        var number = 0;
        for (var index = 0; index < request.Tensors.Count; index++)
        {
            var part = PartOf(request.Tensors[index]);
            var data = new byte[part.Bytes];
            ((IModelWeights)weights).ReadPart(part, data);
            for (var offset = 0; offset < data.Length; offset += ChunkBytes)
            {
                var piece = data.AsSpan(offset, Math.Min(ChunkBytes, data.Length - offset));
                var chunk = new Wire.WeightChunk
                {
                    ViewVersion = request.ViewVersion,
                    TensorIndex = (uint)index,
                    Offset = (ulong)offset,
                    Data = ByteString.CopyFrom(piece),
                    Crc32C = Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, piece),
                    LastOfTensor = offset + piece.Length == data.Length,
                };
                if (chunk.LastOfTensor) chunk.PartHash = HashOf(part);
                OnChunk(chunk, number++);
                await responses.WriteAsync(chunk, context.CancellationToken);
            }
        }
    }

    public override async Task Hash(Wire.HashRequest request, IServerStreamWriter<Wire.HashReply> responses, ServerCallContext context)
    {
        lock (HashRequests) HashRequests.Add([.. request.Tensors.Select(rows => rows.Name)]);
        foreach (var (index, asked) in request.Tensors.Index())
        {
            await BeforeHash();
            var reply = new Wire.HashReply { ViewVersion = request.ViewVersion, TensorIndex = (uint)index, BytesRead = 1 };
            await responses.WriteAsync(reply, context.CancellationToken);
            await responses.WriteAsync(new Wire.HashReply(reply) { PartHash = HashOf(PartOf(asked)) }, context.CancellationToken);
        }
    }

    /// <summary>Who has a part; null: this coordinator alone. What a peer does not give comes from here.</summary>
    public Func<TensorPart, Wire.WeightsPeer?> PeerOf { get; set; } = _ => null;

    /// <summary>The names in each worker's first message of Share: what it has; null: all of the model.</summary>
    public List<string[]?> Here { get; } = [];

    /// <summary>Whether shares name what parts hash to.</summary>
    public bool TellsHashes { get; set; } = true;

    /// <summary>Called when a worker says that a part has come, or has not.</summary>
    public Action<TensorPart, bool> OnShared { get; set; } = (_, _) => { };

    public override async Task Share(
        IAsyncStreamReader<Wire.ShareRequest> requests, IServerStreamWriter<Wire.ShareReply> replies, ServerCallContext context)
    {
        Assert.True(await requests.MoveNext(context.CancellationToken));
        var first = requests.Current;
        lock (Here) Here.Add(first.AllHere ? null : [.. first.Here.Select(rows => rows.Name)]);
        TensorPart[] wanted = [.. first.Wanted.Select(PartOf)];
        var next = 0;
        var under = new HashSet<int>();   // of peers, which give a few at a time
        for (var missing = wanted.Length; missing > 0;)
        {
            for (; next < wanted.Length && under.Count < GivingTurns.Streams; next++)
            {
                var peer = PeerOf(wanted[next]);
                if (peer is not null) under.Add(next);
                await replies.WriteAsync(SourceOf(next, wanted[next], peer), context.CancellationToken);
            }
            Assert.True(await requests.MoveNext(context.CancellationToken));
            foreach (var index in requests.Current.Came) OnShared(wanted[index], true);
            under.ExceptWith(requests.Current.Came.Concat(requests.Current.Failed.Select(failed => failed.Index)).Select(index => (int)index));
            missing -= requests.Current.Came.Count;
            foreach (var failed in requests.Current.Failed)
            {
                OnShared(wanted[failed.Index], false);
                await replies.WriteAsync(SourceOf((int)failed.Index, wanted[failed.Index], null), context.CancellationToken);
            }
        }
    }

    Wire.ShareReply SourceOf(int index, TensorPart part, Wire.WeightsPeer? peer) =>
        new() { Sources = { new Wire.PartSource { Index = (uint)index, Peer = peer, PartHash = TellsHashes ? HashOf(part) : "" } } };

    TensorPart PartOf(Wire.TensorRows asked) =>
        new(weights.Find(asked.Name)!, (long)asked.FirstRow, (long)asked.RowCount, (long)asked.FirstColumn, (long)asked.ColumnCount);

    static Wire.LlamaConfigMessage Describe(LlamaConfig config) => new()
    {
        LayerCount = (uint)config.LayerCount,
        HiddenSize = (uint)config.HiddenSize,
        FfnSize = (uint)config.FfnSize,
        HeadCount = (uint)config.HeadCount,
        KvHeadCount = (uint)config.KvHeadCount,
        HeadSize = (uint)config.HeadSize,
        VocabularySize = (uint)config.VocabularySize,
        ContextLength = (uint)config.ContextLength,
        RmsEpsilon = config.RmsEpsilon,
        RopeTheta = config.RopeTheta,
        RopeDimensionCount = (uint)config.RopeDimensionCount,
        TiedEmbeddings = config.TiedEmbeddings,
        RopeScaling = config.RopeScaling switch
        {
            null => null,
            RopeScaling.Factors => new Wire.RopeScalingMessage { Kind = Kind.Factors },
            RopeScaling.Linear linear => new Wire.RopeScalingMessage { Kind = Kind.Linear, Factor = linear.Factor },
            RopeScaling.Yarn yarn => new Wire.RopeScalingMessage
            {
                Kind = Kind.Yarn,
                Factor = yarn.Factor,
                OriginalContextLength = (uint)yarn.OriginalContextLength,
                FastTurns = yarn.FastTurns,
                SlowTurns = yarn.SlowTurns,
                Magnitude = yarn.Magnitude,
            },
            var other => throw new ArgumentException($"no message for {other}"),
        },
        Experts = config.Experts is not { } experts ? null : new Wire.ExpertMixtureMessage
        {
            Count = (uint)experts.Count,
            UsedCount = (uint)experts.UsedCount,
            FfnSize = (uint)experts.FfnSize,
            LayerStep = (uint)experts.LayerStep,
            Gate = (Wire.ExpertMixtureMessage.Types.Gate)experts.Gate,
            HasShared = experts.HasShared,
        },
        Chunks = config.Chunks is not { } chunks ? null : new Wire.ChunkedAttentionMessage
        {
            ChunkSize = (uint)chunks.ChunkSize,
            FullLayerStep = (uint)chunks.FullLayerStep,
        },
        QueryScale = config.QueryScale is not { } scale ? null : new Wire.QueryScaleMessage
        {
            Growth = scale.Growth,
            Span = (uint)scale.Span,
            Offset = (uint)scale.Offset,
        },
        NormsHeads = config.NormsHeads,
        AttentionBiases = (uint)config.Biases,
        Window = (uint)(config.Window ?? 0),
        Sizes =
        {
            (config.Sizes ?? Enumerable.Empty<LayerSizes>()).Select(sizes => new Wire.LayerSizesMessage
            {
                HeadCount = (uint)sizes.HeadCount,
                KvHeadCount = (uint)sizes.KvHeadCount,
                FfnSize = (uint)sizes.FfnSize,
            }),
        },
    };
}
