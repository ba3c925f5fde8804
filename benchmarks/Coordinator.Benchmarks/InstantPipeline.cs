using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Benchmarks;

/// <summary>
/// Does with a step what the coordinator does with it, for a pipeline of two, and has its result at once: what is left is the coordinator's own time.
/// </summary>
sealed class InstantPipeline(int kvBlocks) : IPipeline
{
    const int VocabularySize = 32_000;

    static readonly int[] Stages = [0, 8];   // first layers
    static readonly SampledToken Sampled = new() { Id = 5, Logprob = -1 };

    ulong _lastStep;

    public ulong ViewVersion => 1;

    /// <summary>All sequences in each step.</summary>
    public int StageCount => 1;

    public int KvBlocks => kvBlocks;

    public Task<PipelineFailure> Lost { get; } = new TaskCompletionSource<PipelineFailure>().Task;

    public Task<StepReturn> ExecuteAsync(ScheduledStep step)
    {
        StepMessages.Of(step, ViewVersion, ++_lastStep, Stages);
        var result = new StepResult { StepId = _lastStep };
        foreach (var chunk in step.Chunks)
            if (chunk.SampleCount > 0) result.Sequences.Add(new SequenceResult { SequenceId = chunk.Run.Id, Tokens = { Sampled } });
        return Task.FromResult<StepReturn>(new StepReturn.Completed(result.ToResults(step, VocabularySize)));
    }

    public void End(IReadOnlyList<ulong> sequences)
    {
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public void Abort(PipelineFailure failure) => throw new InvalidOperationException(failure.Message);
}
