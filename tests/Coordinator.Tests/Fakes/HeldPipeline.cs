using System.Threading.Channels;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>A pipeline whose steps return when the test says so.</summary>
sealed class HeldPipeline(int stages, int kvBlocks) : IPipeline
{
    readonly Channel<(ScheduledStep Step, TaskCompletionSource<StepReturn> Return)> _steps =
        Channel.CreateUnbounded<(ScheduledStep, TaskCompletionSource<StepReturn>)>();
    readonly Channel<ulong> _ended = Channel.CreateUnbounded<ulong>();

    public ulong ViewVersion => 1;

    public int StageCount => stages;

    public int KvBlocks => kvBlocks;

    public Task<PipelineFailure> Lost { get; } = new TaskCompletionSource<PipelineFailure>().Task;

    public Task<StepReturn> ExecuteAsync(ScheduledStep step)
    {
        var returned = new TaskCompletionSource<StepReturn>(TaskCreationOptions.RunContinuationsAsynchronously);
        End(step.Ended);
        _steps.Writer.TryWrite((step, returned));
        return returned.Task;
    }

    public void End(IReadOnlyList<ulong> sequences)
    {
        foreach (var id in sequences) _ended.Writer.TryWrite(id);
    }

    public void Abort(PipelineFailure failure) => throw new InvalidOperationException(failure.Message);

    /// <summary>What the worker that dies had left to do.</summary>
    public ScheduledStep? Left { get; set; }

    public ScheduledStep? NotDoneBy(WorkerId? worker) => Left;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>The next step that was sent off.</summary>
    public Task<(ScheduledStep Step, TaskCompletionSource<StepReturn> Return)> NextAsync() => _steps.Reader.ReadAsync().AsTask().Soon("the next step");

    /// <summary>The next sequence that the workers were told to forget.</summary>
    public Task<ulong> EndedAsync() => _ended.Reader.ReadAsync().AsTask().Soon("the next end of a sequence");

    /// <summary>A step has run, and sampled this token wherever it was to.</summary>
    public static void Return((ScheduledStep Step, TaskCompletionSource<StepReturn> Return) sent, int token = 5)
        => sent.Return.SetResult(new StepReturn.Completed(
            [.. sent.Step.Chunks.Select(chunk => new ChunkResult(chunk.SampleCount == 0 ? [] : [new SampledToken(token, -1, [])], []))]));
}
