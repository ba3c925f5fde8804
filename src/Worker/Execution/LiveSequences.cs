using LlamaCluster.Model.Sequences;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// What a stage's thread remembers of a view's sequences beside the stage itself: which requests they belong to, and which of them cannot go
/// on. A sequence is remembered from the step that introduces it until it is ended.
/// </summary>
sealed class LiveSequences
{
    /// <summary>Requests that a log line names. More would hide the line.</summary>
    const int MaxNamed = 8;

    readonly Dictionary<ulong, SequenceRequest> _requests = [];
    readonly Dictionary<ulong, SequenceFailure> _problems = [];
    readonly HashSet<ulong> _failed = [];

    public void Begin(StageWork.RunStep work)
    {
        foreach (var request in work.Requests) _requests[request.SequenceId] = request;
        foreach (var start in work.Step.NewSequences)
            if (start.Problem is { } problem) _problems[start.SequenceId] = new SequenceFailure(start.SequenceId, problem);
    }

    public void End(ulong sequenceId)
    {
        _requests.Remove(sequenceId);
        _problems.Remove(sequenceId);
        _failed.Remove(sequenceId);
    }

    /// <summary>True the first time that a sequence is seen to fail: it fails again with each of its chunks, but is logged once.</summary>
    public bool IsNews(SequenceFailure failure) => _failed.Add(failure.SequenceId);

    /// <summary>The outcome with a failure, and no samples, for each sequence that began with a problem.</summary>
    public StepOutcome.Completed WithProblems(Step step, StepOutcome.Completed outcome)
    {
        if (_problems.Count == 0 || !step.Chunks.Any(chunk => _problems.ContainsKey(chunk.SequenceId))) return outcome;
        var failures = outcome.Failures.ToDictionary(failure => failure.SequenceId);
        foreach (var chunk in step.Chunks)
            if (_problems.TryGetValue(chunk.SequenceId, out var failure)) failures.TryAdd(chunk.SequenceId, failure);
        return new StepOutcome.Completed([.. outcome.Samples.Where(samples => !failures.ContainsKey(samples.SequenceId))])
        {
            Failures = [.. step.Chunks.Select(chunk => failures.GetValueOrDefault(chunk.SequenceId)).OfType<SequenceFailure>().Distinct()],
        };
    }

    /// <summary>The ids of the requests that a step works for, separated by commas. "" if none is known.</summary>
    public string RequestIds(Step step)
    {
        var ids = step.Chunks.Select(chunk => RequestId(chunk.SequenceId)).Where(id => id.Length > 0).Distinct().ToList();
        return string.Join(", ", ids.Take(MaxNamed)) + (ids.Count > MaxNamed ? $" and {ids.Count - MaxNamed} more" : "");
    }

    public string RequestId(ulong sequenceId) => _requests.TryGetValue(sequenceId, out var request) ? request.RequestId : "";
}
