using System.Diagnostics;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Model.Sequences;

namespace LlamaCluster.Worker.Execution;

/// <summary>When a stage did the parts of one step (<see cref="Stopwatch.GetTimestamp"/>).</summary>
/// <param name="Begun">It turned to the step.</param>
/// <param name="Arrived">The activations were there.</param>
/// <param name="Computed">It was done.</param>
/// <param name="Sent">The output had been handed to the streams to the next stage; when it was computed, if there is none.</param>
/// <param name="Exchanging">Time in exchanges with the other ranks of the stage, between <paramref name="Arrived"/> and <paramref name="Computed"/>.</param>
readonly record struct StepMoments(long Begun, long Arrived, long Computed, long Sent, TimeSpan Exchanging);

/// <summary>
/// Records steps below the spans of the requests that they work for: a span for the stage, and in it wait, compute, exchange and send. A step that
/// works for several traced requests is in the trace of each. Long prompts and answers have thousands of steps, so only some are recorded: see
/// <see cref="IsRecorded"/>.
/// </summary>
sealed class StepSpans(ulong viewVersion, int stage, int rank)
{
    /// <summary>Traces that one step is recorded in.</summary>
    const int MostTraces = 8;

    const int FirstTokens = 4;
    const int EveryToken = 32;
    const int EveryPromptToken = 1024;

    // Sequences of requests that are traced, as long as they live.
    readonly Dictionary<ulong, SequenceRequest> _traced = [];

    public void Begin(IReadOnlyList<SequenceRequest> requests)
    {
        if (requests.Count == 0 || !Spans.Worker.HasListeners()) return;
        foreach (var request in requests)
            if (request.Trace.TraceFlags.HasFlag(ActivityTraceFlags.Recorded)) _traced[request.SequenceId] = request;
    }

    public void End(ulong sequenceId) => _traced.Remove(sequenceId);

    /// <summary>
    /// Whether a chunk's step is recorded. All stages answer the same: of a prompt its first and its last chunk, and those that reach another
    /// thousand of tokens; of an answer the first few tokens, and then each 32nd.
    /// </summary>
    public static bool IsRecorded(int start, int count, int promptLength)
    {
        var last = start + count - 1;
        if (start < promptLength) return start == 0 || last >= promptLength - 1 || start / EveryPromptToken != (last + 1) / EveryPromptToken;
        var (from, to) = (start - promptLength, last - promptLength);
        return from < FirstTokens || from % EveryToken == 0 || from / EveryToken != to / EveryToken;
    }

    /// <param name="problem">Why the step failed, in one line; null if it did not.</param>
    public void Ran(StageWork.RunStep work, StepMoments moments, string? problem)
    {
        if (_traced.Count == 0) return;
        var traces = 0;
        foreach (var chunk in work.Step.Chunks)
            if (_traced.TryGetValue(chunk.SequenceId, out var request) && IsRecorded(chunk.Start, chunk.Count, request.PromptLength) && traces++ < MostTraces)
                Record(work, chunk, request, moments, problem);
    }

    void Record(StageWork.RunStep work, Chunk chunk, SequenceRequest request, StepMoments moments, string? problem)
    {
        using var span = Spans.Worker.Record($"stage {stage}", request.Trace, At(moments.Begun), At(moments.Sent));
        if (span is null) return;
        span.SetTag("llamacluster.view", viewVersion)
            .SetTag("llamacluster.step", work.StepId)
            .SetTag("llamacluster.stage", stage)
            .SetTag("llamacluster.rank", rank)
            .SetTag("llamacluster.sequence", chunk.SequenceId)
            .SetTag("llamacluster.phase", chunk.Start < request.PromptLength ? "prefill" : "decode")
            .SetTag("llamacluster.rows", work.Rows)
            .SetTag("llamacluster.sequences", work.Step.Chunks.Count);
        if (problem is not null) span.SetStatus(ActivityStatusCode.Error, problem);
        // Exchanges come twice in a layer; all of them together stand at the end of the computing.
        var exchanging = At(moments.Computed) - moments.Exchanging;
        if (moments.Arrived > moments.Begun && stage > 0) Part("wait", At(moments.Begun), At(moments.Arrived));
        Part("compute", At(moments.Arrived), exchanging);
        if (moments.Exchanging > TimeSpan.Zero) Part("exchange", exchanging, At(moments.Computed));
        if (moments.Sent > moments.Computed) Part("send", At(moments.Computed), At(moments.Sent));

        void Part(string name, DateTimeOffset begun, DateTimeOffset ended) => Spans.Worker.Record(name, span.Context, begun, ended)?.Dispose();
    }

    static DateTimeOffset At(long timestamp) => DateTimeOffset.UtcNow - Stopwatch.GetElapsedTime(timestamp);
}
