using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>
/// Plays the coordinator for workers that are the stages of one pipeline, or the ranks of stages, in order: assigns, opens the streams, sends steps.
/// </summary>
sealed class TestPipeline : IAsyncDisposable
{
    readonly IReadOnlyList<AsyncDuplexStreamingCall<Wire.StepRequest, Wire.StepReply>> _streams;

    TestPipeline(ClusterPlan plan, IReadOnlyList<AsyncDuplexStreamingCall<Wire.StepRequest, Wire.StepReply>> streams) => (Plan, _streams) = (plan, streams);

    public ClusterPlan Plan { get; }

    /// <summary>Who answers with a result: the first rank of the last stage.</summary>
    int Last => _streams.Count - Plan.Ranks(Plan.StageCount - 1).Length;

    public static ClusterPlan PlanOf(IEnumerable<TestWorker> workers, string digest, int layers, ulong view) =>
        PlanOf([.. workers.Select(worker => worker.Host.Address)], digest, layers, view);

    /// <param name="ranks">How many of the workers share each stage; null: each has one to itself.</param>
    public static ClusterPlan PlanOf(IReadOnlyList<Uri> workers, string digest, int layers, ulong view, int[]? ranks = null)
    {
        ranks ??= [.. workers.Select(_ => 1)];
        var ranges = LayerSplit.Even(layers, ranks.Length);
        var places = ranks.SelectMany((count, stage) =>
            Enumerable.Range(0, count).Select(rank => (stage, new Shard(ranges[stage], new TensorSlice(rank, count)))));
        return ClusterPlan.Create(view, "test", digest, layers, [.. workers.Zip(places, (address, place) => (address, place)).Select((at, index) =>
            new ShardAssignment(new WorkerId($"w{index}"), at.address, at.place.stage, at.place.Item2))]);
    }

    public static Wire.AssignRequest Assignment(ClusterPlan plan, int stage, string modelPath) => new()
    {
        Plan = plan.ToMessage(),
        WorkerId = plan.Assignments[stage].Worker.Value,
        ModelPath = modelPath,
        KvBlockCount = 64,
        KvType = Wire.KvType.F32,
        MaxStepRows = 64,
        MaxSequenceLength = 512,
        ActivationType = Wire.ActivationType.F32,
        ViewKey = TestKeys.View.ToMessage(),
    };

    public static async Task<TestPipeline> StartAsync(
        IReadOnlyList<TestWorker> workers, string modelPath, string digest, int layers,
        ulong view = 1, Action<Wire.AssignRequest>? change = null, int[]? ranks = null)
    {
        var plan = PlanOf([.. workers.Select(worker => worker.Host.Address)], digest, layers, view, ranks);
        await Task.WhenAll(workers.Select((worker, stage) => AssignAsync(worker, plan, stage, modelPath, change)));
        return await OpenAsync(workers, plan);
    }

    /// <summary>With workers that have their assignments.</summary>
    public static async Task<TestPipeline> OpenAsync(IReadOnlyList<TestWorker> workers, ClusterPlan plan)
    {
        var streams = workers.Select(worker => worker.Steps.Run()).ToArray();
        // All at once: ranks of a stage wait for each other.
        foreach (var (index, stream) in streams.Index()) await stream.RequestStream.WriteAsync(Open(plan, index));
        foreach (var (index, stream) in streams.Index())
        {
            var reply = await NextAsync(stream, index);
            Assert.True(reply.Opened is not null, $"worker {index} answered {reply}");
        }
        return new TestPipeline(plan, streams);
    }

    public static async Task<IReadOnlyList<Wire.LoadProgress>> AssignAsync(
        TestWorker worker, ClusterPlan plan, int stage, string modelPath, Action<Wire.AssignRequest>? change = null)
    {
        var request = Assignment(plan, stage, modelPath);
        change?.Invoke(request);
        using var call = worker.Assignments.Assign(request, deadline: Deadline.Call);
        var news = new List<Wire.LoadProgress>();
        while (await call.ResponseStream.MoveNext(CancellationToken.None)) news.Add(call.ResponseStream.Current);
        Assert.Equal(Wire.LoadProgress.Types.Phase.Ready, news[^1].Phase);
        return news;
    }

    public static Wire.StepRequest Open(ClusterPlan plan, int stage) => new()
    {
        Open = new Wire.OpenSteps { ViewVersion = plan.ViewVersion, ModelDigest = plan.ModelDigest, WorkerId = plan.Assignments[stage].Worker.Value },
    };

    /// <summary>A step of one sequence; the first one (start 0) brings its facts and four blocks.</summary>
    public Wire.StepPlan Step(ulong stepId, int start, params int[] tokens) => StepOf(Plan.ViewVersion, stepId, start, tokens);

    /// <summary>The first step of a view.</summary>
    public static Wire.StepPlan FirstStep(ulong view, ulong stepId, params int[] tokens) => StepOf(view, stepId, 0, tokens);

    static Wire.StepPlan StepOf(ulong view, ulong stepId, int start, int[] tokens)
    {
        var chunk = new Wire.SequenceChunk { SequenceId = 1, Start = start, Count = tokens.Length, Tokens = { tokens }, SampleCount = 1 };
        var step = new Wire.StepPlan { ViewVersion = view, StepId = stepId, Chunks = { chunk } };
        if (start > 0) return step;
        chunk.NewBlocks.Add(Enumerable.Range(0, 8));
        step.NewSequences.Add(new Wire.SequenceFacts { SequenceId = 1, PromptLength = (uint)tokens.Length, Sampling = Greedy });
        return step;
    }

    public static Wire.SamplingOptionsMessage Greedy => new() { TopP = 1, RepetitionPenalty = 1, TopLogprobs = 0 };

    /// <summary>Sends the step to every worker; only those of the first and the last stage are told the tokens.</summary>
    public async Task SendAsync(Wire.StepPlan step)
    {
        foreach (var (index, part) in Plan.Assignments.Index())
        {
            var copy = step.Clone();
            if (part.Stage != 0 && part.Stage != Plan.StageCount - 1)
                foreach (var chunk in copy.Chunks) chunk.Tokens.Clear();
            await SendAsync(index, new Wire.StepRequest { Step = copy });
        }
    }

    public Task SendAsync(int stage, Wire.StepRequest request) =>
        Deadline.Within(_streams[stage].RequestStream.WriteAsync(request), $"stage {stage} to take a request");

    public Task<Wire.StepReply> ReplyAsync(int stage) => NextAsync(_streams[stage], stage);

    /// <summary>Sends a step and takes every worker's answer.</summary>
    public async Task<Wire.StepResult> ExecuteAsync(Wire.StepPlan step)
    {
        await SendAsync(step);
        for (var worker = 0; worker < _streams.Count; worker++)
        {
            if (worker == Last) continue;
            var reply = await ReplyAsync(worker);
            Assert.True(reply.Done?.StepId == step.StepId, $"worker {worker} answered {reply}");
        }
        var last = await ReplyAsync(Last);
        Assert.True(last.Result?.StepId == step.StepId, $"the last stage answered {last}");
        return last.Result;
    }

    /// <summary>Breaks the stream to one stage, as a coordinator does that dies.</summary>
    public void Break(int stage) => _streams[stage].Dispose();

    public ValueTask DisposeAsync()
    {
        foreach (var stream in _streams) stream.Dispose();
        return ValueTask.CompletedTask;
    }

    static async Task<Wire.StepReply> NextAsync(AsyncDuplexStreamingCall<Wire.StepRequest, Wire.StepReply> stream, int stage)
    {
        Assert.True(await Deadline.Within(stream.ResponseStream.MoveNext(), $"a reply of stage {stage}"), $"stage {stage} ended its stream");
        return stream.ResponseStream.Current;
    }
}
