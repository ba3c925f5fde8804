using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Benchmarks.Replay;

/// <summary>
/// A pipeline that computes nothing and takes as long as the planner predicts, in virtual time. A stage does one step after the other, in the order in which
/// they were sent, and begins with one when the stage before is done with it.
/// </summary>
/// <param name="stepped">Called for each step that is sent off.</param>
sealed class ModelledPipeline(StepPredictor predictor, int stages, int kvBlocks, VirtualTime time, Action stepped) : IPipeline
{
    /// <summary>Loads are rounded up to multiples of these, so that few different ones are predicted.</summary>
    const int RowStep = 4;
    const int PositionStep = 256;

    static readonly ChunkResult OneToken = new([new SampledToken(5, -1, [])], []);

    readonly TimeSpan[] _freeAt = new TimeSpan[stages];
    readonly TimeSpan[] _busy = new TimeSpan[stages];

    public ulong ViewVersion => 1;

    public int StageCount => stages;

    public int KvBlocks => kvBlocks;

    public Task<PipelineFailure> Lost { get; } = new TaskCompletionSource<PipelineFailure>().Task;

    public long Steps { get; private set; }

    public long Rows { get; private set; }

    /// <summary>How long each stage has worked.</summary>
    public IReadOnlyList<TimeSpan> Busy => _busy;

    public Task<StepReturn> ExecuteAsync(ScheduledStep step)
    {
        stepped();
        (Steps, Rows) = (Steps + 1, Rows + step.Rows);
        var predicted = predictor.Predict(LoadOf(step));
        var way = TimeSpan.FromSeconds(predicted.Between / (stages + 1));   // to the first stage, to each next one, and back
        var at = time.Now;
        for (var stage = 0; stage < stages; stage++)
        {
            var takes = TimeSpan.FromSeconds(predicted.Stages[stage]);
            var begins = at + way > _freeAt[stage] ? at + way : _freeAt[stage];
            _busy[stage] += takes;
            at = _freeAt[stage] = begins + takes;
        }
        var returned = new TaskCompletionSource<StepReturn>();
        time.At(
            at + way,
            () => returned.SetResult(new StepReturn.Completed([.. step.Chunks.Select(chunk => chunk.SampleCount > 0 ? OneToken : ChunkResult.Empty)])));
        return returned.Task;
    }

    public void End(IReadOnlyList<ulong> sequences)
    {
    }

    public void Abort(PipelineFailure failure) => throw new InvalidOperationException(failure.Message);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    static StepLoad LoadOf(ScheduledStep step)
    {
        var (sampled, positions) = (0, 0L);
        foreach (var chunk in step.Chunks)
        {
            sampled += chunk.SampleCount;
            positions += chunk.Count * (chunk.Start + (chunk.Count + 1L) / 2);
        }
        return new StepLoad(Up(step.Rows, RowStep), Up(sampled, RowStep), Up((int)(positions / step.Rows), PositionStep));
    }

    static int Up(int value, int step) => (value + step - 1) / step * step;
}
