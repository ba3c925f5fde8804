using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>
/// The steps of a view that have not come back, in the order in which they were sent. A step that does not go through all stages may be over before one that
/// was sent earlier and does. Not safe for concurrent use.
/// </summary>
/// <param name="stages">The first layer of each stage.</param>
sealed class StepsInFlight(IReadOnlyList<int> stages, TimeProvider time)
{
    readonly List<StepInFlight> _steps = [];
    readonly long[] _sentAt = new long[2 * stages.Count];   // timestamps of the last steps, by step id modulo the length: more than are under way
    ulong _lastStep;

    public StepInFlight? Oldest => _steps.Count == 0 ? null : _steps[0];

    /// <summary>The oldest of those that the last stage has to answer.</summary>
    public StepInFlight? NextResult
    {
        get
        {
            foreach (var step in _steps)
                if (step.LastStage == stages.Count - 1) return step;
            return null;
        }
    }

    public StepInFlight Add(ScheduledStep step)
    {
        var lastStage = stages.Count - 1;
        while (stages[lastStage] >= step.Depth) lastStage--;
        var firstStage = 0;
        while (firstStage < lastStage && stages[firstStage + 1] <= step.From) firstStage++;
        var added = new StepInFlight(++_lastStep, step, step.From > 0 ? firstStage - 1 : 0, lastStage);
        _steps.Add(added);
        SentAt(added.Id) = time.GetTimestamp();
        return added;
    }

    /// <summary>The step that is over when a worker of a stage before the last has done it.</summary>
    public StepInFlight? Ending(ulong id, StageWorker worker)
    {
        if (worker.Rank > 0 || worker.Stage == stages.Count - 1) return null;
        foreach (var step in _steps)
            if (step.Id == id) return step.LastStage == worker.Stage ? step : null;
        return null;
    }

    /// <returns>Whether it was the oldest.</returns>
    public bool Remove(StepInFlight step)
    {
        var isOldest = Oldest == step;
        _steps.Remove(step);
        return isOldest;
    }

    public IReadOnlyList<StepInFlight> RemoveAll()
    {
        StepInFlight[] all = [.. _steps];
        _steps.Clear();
        return all;
    }

    public TimeSpan Since(ulong id) => time.GetElapsedTime(SentAt(id));

    ref long SentAt(ulong id) => ref _sentAt[id % (ulong)_sentAt.Length];
}

/// <param name="id">Steps of a view count from 1, as its scheduler counts them.</param>
/// <param name="firstStage">The first stage that it goes through, or the one before that sends rows of its journal.</param>
/// <param name="lastStage">The last stage that it goes through.</param>
sealed class StepInFlight(ulong id, ScheduledStep step, int firstStage, int lastStage)
{
    readonly TaskCompletionSource<StepReturn> _returned = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ulong Id => id;

    public ScheduledStep Step => step;

    public int FirstStage => firstStage;

    public int LastStage => lastStage;

    public bool HasPart(StageWorker worker) => worker.Stage >= firstStage && worker.Stage <= lastStage;

    /// <summary>When the step became the oldest one under way, as a timestamp.</summary>
    public long OldestSince { get; set; }

    public Task<StepReturn> Returned => _returned.Task;

    public void Return(StepReturn how) => _returned.TrySetResult(how);
}
