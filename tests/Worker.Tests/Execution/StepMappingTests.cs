using Google.Protobuf;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Execution;

public class StepMappingTests
{
    const int MaxRows = 10;
    const int Vocabulary = 100;

    readonly HistoryParts _histories = new(MaxRows, 16);
    readonly SequenceGrammars _grammars = new(Vocabulary, MaxRows);

    [Fact]
    public void ToWork_EveryField_ArrivesAtTheStage()
    {
        var sampling = TestPipeline.Greedy;
        (sampling.Temperature, sampling.TopK, sampling.MinP, sampling.Seed, sampling.TopLogprobs, sampling.PromptLogprobs) = (0.5f, 40, 0.1f, 9, -1, true);
        (sampling.FrequencyPenalty, sampling.PresencePenalty) = (-1, 2);
        sampling.LogitBias.Add(3, -100);
        var plan = new Wire.StepPlan
        {
            StepId = 4,
            NewSequences = { new Wire.SequenceFacts { SequenceId = 7, PromptLength = 5, Sampling = sampling, } },
            Chunks =
            {
                new Wire.SequenceChunk { SequenceId = 7, Start = 2, Count = 3, Tokens = { 3, 4, 5 }, NewBlocks = { 8, 9 }, SampleCount = 1 },
                new Wire.SequenceChunk { SequenceId = 8, Start = 40, Count = 1 },
            },
            Copies = { new Wire.BlockCopy { Source = 6, Target = 8 } },
        };

        _histories.Add(new Wire.HistoryPart { SequenceId = 7, Tokens = { 1 } });
        _histories.Add(new Wire.HistoryPart { SequenceId = 7, Tokens = { 2 } });
        var work = plan.ToWork(MaxRows, Vocabulary, _histories, _grammars);

        Assert.Equal((4UL, 4), (work.StepId, work.Rows));
        var start = Assert.Single(work.Step.NewSequences);
        Assert.Equal((7UL, 5), (start.SequenceId, start.PromptLength));
        Assert.Equal([1, 2], start.History);
        var options = start.Sampling;
        Assert.Equal((0.5f, 40, 1f, 0.1f, 1f), (options.Temperature, options.TopK, options.TopP, options.MinP, options.RepetitionPenalty));
        Assert.Equal(
            (-1f, 2f, 9UL, null, true),
            (options.FrequencyPenalty, options.PresencePenalty, options.Seed, options.TopLogprobs, options.PromptLogprobs));
        Assert.Equal(-100, options.LogitBias[3]);
        var chunk = work.Step.Chunks[0];
        Assert.Equal((7UL, 2, 3, 1), (chunk.SequenceId, chunk.Start, chunk.Count, chunk.SampleCount));
        Assert.Equal([3, 4, 5], chunk.Tokens.ToArray());
        Assert.Equal([8, 9], chunk.NewBlocks.ToArray());
        Assert.True(work.Step.Chunks[1].Tokens.IsEmpty);
        Assert.Equal([new BlockCopy(6, 8)], work.Step.Copies);
    }

    [Fact]
    public void ToWork_Replay_ArrivesAtTheStage()
    {
        var work = new Wire.Replay
        {
            StepId = 4,
            Chunks =
            {
                new Wire.ReplayedChunk { First = 3, Count = 9, Blocks = { 8 } },
                new Wire.ReplayedChunk { First = 15, Count = 1, Blocks = { 2 } },
            },
        }.ToWork(MaxRows);
        Assert.Equal((4UL, 10), (work.StepId, work.Rows));
        Assert.Equal([(3, 9, 8), (15, 1, 2)], work.Chunks.Select(chunk => (chunk.First, chunk.Count, Assert.Single(chunk.Blocks))));
    }

    public static TheoryData<string, Action<Wire.Replay>> WrongReplays => new()
    {
        { "chunks", replay => replay.Chunks.Clear() },
        { "first of a replayed chunk", replay => replay.Chunks[0].First = -1 },
        { "first of a replayed chunk", replay => replay.Chunks[0].First = 16 },
        { "count of a replayed chunk", replay => replay.Chunks[0].Count = 0 },
        { "count of a replayed chunk", replay => replay.Chunks[0].Count = int.MaxValue },
        { "blocks of a replayed chunk", replay => replay.Chunks[0].First = 14 },
        { "blocks of a replayed chunk", replay => replay.Chunks[0].Blocks.Add(9) },
        { "positions", replay => replay.Chunks.Add(new Wire.ReplayedChunk { Count = MaxRows, Blocks = { 9 } }) },
    };

    [Theory]
    [MemberData(nameof(WrongReplays))]
    public void ToWork_AnImpossibleReplay_IsRefusedByName(string field, Action<Wire.Replay> spoil)
    {
        var replay = new Wire.Replay { StepId = 1, Chunks = { new Wire.ReplayedChunk { First = 2, Count = 3, Blocks = { 8 } } } };
        spoil(replay);
        Assert.StartsWith(field, Assert.Throws<InvalidMessageException>(() => replay.ToWork(MaxRows)).Message);
    }

    public static TheoryData<string, Action<Wire.StepPlan>> Wrong => new()
    {
        { "chunks", plan => plan.Chunks.Clear() },
        { "count of sequence 1", plan => plan.Chunks[0].Count = -1 },
        { "count of sequence 1", plan => plan.Chunks[0].Count = 0 },
        { "count of sequence 1", plan => plan.Chunks[0].Count = int.MaxValue },
        { "positions", plan => plan.Chunks.Add(new Wire.SequenceChunk { SequenceId = 2, Count = MaxRows }) },
        { "chunks", plan => plan.Chunks.AddRange(Enumerable.Repeat(new Wire.SequenceChunk { Count = 1 }, MaxRows)) },
        { "new_sequences", plan => plan.NewSequences.AddRange(Enumerable.Repeat(new Wire.SequenceFacts(), MaxRows + 1)) },
        { "copies", plan => plan.Copies.AddRange(Enumerable.Repeat(new Wire.BlockCopy(), MaxRows + 1)) },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void ToWork_OneFieldWrong_NamesIt(string named, Action<Wire.StepPlan> change)
    {
        var plan = OneSequence();
        change(plan);
        Assert.Contains(named, Assert.Throws<InvalidMessageException>(() => plan.ToWork(MaxRows, Vocabulary, _histories, _grammars)).Message);
    }

    public static TheoryData<string, Action<Wire.SequenceFacts>> BadFacts => new()
    {
        { "prompt_length", facts => facts.PromptLength = uint.MaxValue },
        { "top_logprobs", facts => facts.Sampling.TopLogprobs = int.MaxValue },
        { "top_logprobs", facts => facts.Sampling.TopLogprobs = -2 },
        { "temperature", facts => facts.Sampling.Temperature = float.NaN },
        { "top_p", facts => facts.Sampling.TopP = 0 },
        { "logit_bias", facts => facts.Sampling.LogitBias.Add(Vocabulary, 1) },
        { "request_id", facts => facts.RequestId = "two words" },
        { "request_id", facts => facts.RequestId = new string('x', 129) },
    };

    [Theory]
    [MemberData(nameof(BadFacts))]
    public void ToWork_BadFactsOfASequence_AreItsProblemAndNobodyElses(string named, Action<Wire.SequenceFacts> change)
    {
        var plan = OneSequence();
        plan.NewSequences.Add(new Wire.SequenceFacts { SequenceId = 2, PromptLength = 3, Sampling = TestPipeline.Greedy });
        change(plan.NewSequences[0]);
        var starts = plan.ToWork(MaxRows, Vocabulary, _histories, _grammars).Step.NewSequences;
        Assert.Contains(named, starts[0].Problem);
        Assert.Null(SamplingRanges.FirstProblem(starts[0].Sampling, Vocabulary));
        Assert.Equal((null, 3), (starts[1].Problem, starts[1].PromptLength));
    }

    [Fact]
    public void ToWork_RequestsAndTraces_AreKnownWhereTheyAreGood()
    {
        const string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        var plan = OneSequence();
        (plan.NewSequences[0].RequestId, plan.NewSequences[0].TraceParent) = ("req-1", trace);
        plan.NewSequences.Add(new Wire.SequenceFacts { SequenceId = 2, RequestId = "req-2", TraceParent = "nonsense" });
        plan.NewSequences.Add(new Wire.SequenceFacts { SequenceId = 3 });
        var requests = plan.ToWork(MaxRows, Vocabulary, _histories, _grammars).Requests;
        Assert.Equal([(1UL, "req-1"), (2UL, "req-2")], requests.Select(request => (request.SequenceId, request.RequestId)));
        Assert.Equal("b7ad6b7169203331", requests[0].Trace.SpanId.ToString());
        Assert.Equal(default, requests[1].Trace);
    }

    static Wire.StepPlan OneSequence() => new()
    {
        NewSequences = { new Wire.SequenceFacts { SequenceId = 1, Sampling = TestPipeline.Greedy } },
        Chunks = { new Wire.SequenceChunk { SequenceId = 1, Count = 1, Tokens = { 5 } } },
    };
}
