using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>
/// What a rank of a stage keeps of sequences and blocks, and the tokens it samples if it is the first of the last. Refuses what a real stage would refuse:
/// an unknown sequence, a chunk that does not go on where the last one ended, a block that is another's or missing, KV that is not there.
/// </summary>
sealed class FakeStage(ulong view, int stage, int stages, int kvBlocks, int rank = 0)
{
    readonly Dictionary<ulong, (int Position, int Drafts, List<int> Blocks, SamplingOptionsMessage? Sampling, uint PromptLength)> _sequences = [];
    readonly FakeKv _kv = new(kvBlocks);
    TaskCompletionSource? _emptied;

    public int Number => stage;

    bool IsLast => stage == stages - 1;

    /// <summary>Completes when it keeps nothing of any sequence.</summary>
    public Task EmptyAsync()
    {
        lock (_sequences)
        {
            if (_sequences.Count == 0) return Task.CompletedTask;
            _emptied = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _emptied.Task;
        }
    }

    public void End(IEnumerable<ulong> sequences)
    {
        lock (_sequences)
        {
            foreach (var id in sequences)
                if (_sequences.Remove(id, out var known)) _kv.Release(known.Blocks);
            if (_sequences.Count == 0) _emptied?.TrySetResult();
        }
    }

    public StepReply Run(StepPlan plan)
    {
        lock (_sequences)
        {
            if (plan.ViewVersion != view) return Failed(plan, StepFailed.Types.Reason.StaleView, $"this is view {view}");
            foreach (var facts in plan.NewSequences)
                if (!_sequences.TryAdd(facts.SequenceId, (-1, 0, [], facts.Sampling, facts.PromptLength)))
                    return Bad(plan, $"sequence {facts.SequenceId} is known");
            foreach (var copy in plan.Copies)
                if (_kv.Copy(copy.Source, copy.Target) is { } problem) return Bad(plan, problem);
            var result = new StepResult { ViewVersion = view, StepId = plan.StepId, Timings = Timings(plan) };
            foreach (var chunk in plan.Chunks)
                if (TryRun(chunk, result) is { } problem) return Bad(plan, problem);
            return IsLast && rank == 0
                ? new StepReply { Result = result }
                : new StepReply { Done = new StepDone { ViewVersion = view, StepId = plan.StepId, Timings = Timings(plan) } };
        }
    }

    string? TryRun(SequenceChunk chunk, StepResult result)
    {
        var id = chunk.SequenceId;
        if (!_sequences.TryGetValue(id, out var known)) return $"sequence {id} is unknown";
        if (known.Position >= 0 && (chunk.Start > known.Position || chunk.Start < known.Position - known.Drafts))
            return $"sequence {id} is at {known.Position}, the last {known.Drafts} of these drafts, not at {chunk.Start}";
        if (_kv.Extend(known.Blocks, chunk.NewBlocks) is { } problem) return $"sequence {id}: {problem}";
        var end = chunk.Start + chunk.Count;
        if (known.Blocks.Count - ((end + 15) / 16) is < 0 or > 1) return $"sequence {id} has {known.Blocks.Count} blocks for {end} positions";
        if ((stage == 0 || IsLast) != (chunk.Tokens.Count == chunk.Count)) return $"stage {stage} of {stages} was told {chunk.Tokens.Count} tokens";
        if (IsLast != (known.Sampling is not null)) return $"stage {stage} of {stages} was told {known.Sampling} of sampling";
        _sequences[id] = known with { Position = end, Drafts = Math.Max(0, chunk.SampleCount - 1) };
        // A stage in the middle is told no tokens: for it one position is as good as another.
        _kv.Write(known.Blocks, chunk.Start, stage == 0 || IsLast ? chunk.Tokens : Enumerable.Repeat(0, chunk.Count), out var writeProblem);
        if (IsLast) Sample(chunk, known.Sampling!, (int)known.PromptLength, known.Blocks, result);
        return writeProblem is null ? null : $"sequence {id}: {writeProblem}";
    }

    void Sample(SequenceChunk chunk, SamplingOptionsMessage sampling, int promptLength, List<int> blocks, StepResult result)
    {
        if (chunk.SampleCount == 0 && !sampling.PromptLogprobs) return;
        var answer = new SequenceResult { SequenceId = chunk.SequenceId };
        if (sampling.PromptLogprobs)
            for (var i = 0; i < chunk.Count; i++)
                if (chunk.Start + i is > 0 and var position && position < promptLength)
                    answer.Prompt.Add(new SampledToken { Id = chunk.Tokens[i], Logprob = -1 });
        for (var i = chunk.Count - chunk.SampleCount; i < chunk.Count; i++)
        {
            var token = FakeModel.Next(_kv.At(blocks, chunk.Start + i));
            answer.Tokens.Add(new SampledToken { Id = token, Logprob = -0.5f, TopIds = { 4 }, TopLogprobs = { -0.25f } });
            if (i + 1 < chunk.Count && chunk.Tokens[i + 1] != token) break;
        }
        result.Sequences.Add(answer);
    }

    StepTimings Timings(StepPlan plan)
        => new() { Rows = (uint)plan.Chunks.Sum(chunk => chunk.Count), ComputeMicroseconds = 10, WaitMicroseconds = 5, ActivationBytes = 64, SyncBytes = 16 };

    static StepReply Bad(StepPlan plan, string problem) => Failed(plan, StepFailed.Types.Reason.BadStep, problem);

    public static StepReply Failed(StepPlan plan, StepFailed.Types.Reason reason, string message)
        => new() { Failed = new StepFailed { ViewVersion = plan.ViewVersion, StepId = plan.StepId, Reason = reason, Message = message } };
}
