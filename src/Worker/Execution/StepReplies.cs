using System.Diagnostics;
using Google.Protobuf;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Ranks;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>The answers to steps, as messages.</summary>
static class StepReplies
{
    /// <param name="spillsAtOnce">0: no blocks are kept on disk.</param>
    public static Wire.StepReply Opened(ulong viewVersion, int stage, int spillsAtOnce) =>
        new() { Opened = new Wire.StepsOpened { ViewVersion = viewVersion, Stage = (uint)stage, SpillsAtOnce = (uint)spillsAtOnce } };

    public static Wire.StepReply Kept(ulong viewVersion, ReadOnlySpan<PrefixCacheKey> kept, ReadOnlySpan<PrefixCacheKey> dropped) => new()
    {
        Kept = new Wire.BlocksKept { ViewVersion = viewVersion, Kept = Bytes(kept), Dropped = Bytes(dropped) },
    };

    public static Wire.StepReply SpillDone(ulong viewVersion) => new() { Kept = new Wire.BlocksKept { ViewVersion = viewVersion, SpillsDone = 1 } };

    public static Wire.StepReply Restored(ulong viewVersion, ulong restoreId, int count) =>
        new() { Restored = new Wire.BlocksRestored { ViewVersion = viewVersion, RestoreId = restoreId, Count = (uint)count } };

    public static Wire.StepReply Restoring(ulong viewVersion, ulong restoreId, int count) =>
        new() { Restoring = new Wire.RestoreProgress { ViewVersion = viewVersion, RestoreId = restoreId, Count = (uint)count } };

    public static Wire.StepReply Failed(ulong viewVersion, ulong stepId, StepFailure failure) => new()
    {
        Failed = new Wire.StepFailed { ViewVersion = viewVersion, StepId = stepId, Reason = failure.Reason, Message = failure.Message },
    };

    public static Wire.StepReply Done(ulong viewVersion, ulong stepId, Wire.StepTimings timings) =>
        new() { Done = new Wire.StepDone { ViewVersion = viewVersion, StepId = stepId, Timings = timings } };

    public static Wire.StepReply Result(ulong viewVersion, ulong stepId, StepOutcome.Completed outcome, Wire.StepTimings timings) => new()
    {
        Result = new Wire.StepResult
        {
            ViewVersion = viewVersion,
            StepId = stepId,
            Sequences = { outcome.Samples.Select(ToMessage) },
            Timings = timings,
            Failed =
            {
                outcome.Failures.Select(
                    failure => new Wire.SequenceFailed { SequenceId = failure.SequenceId, Message = failure.Reason, Sound = failure.IsSound }),
            },
        },
    };

    /// <param name="begun">When the stage turned to the step (<see cref="Stopwatch.GetTimestamp"/>).</param>
    /// <param name="arrived">When its activations were there.</param>
    /// <param name="computed">When it was done.</param>
    /// <param name="exchange">With the other ranks, between the last two; null where there are none.</param>
    public static Wire.StepTimings Timings(int rows, long begun, long arrived, long computed, RankExchange? exchange)
    {
        var synchronised = (ulong)(exchange?.Spent.TotalMicroseconds ?? 0);
        return new()
        {
            Rows = (uint)rows,
            WaitMicroseconds = Microseconds(begun, arrived),
            ComputeMicroseconds = Microseconds(arrived, computed) - synchronised,
            SyncMicroseconds = synchronised,
            SyncBytes = (ulong)(exchange?.SentBytes ?? 0),
        };
    }

    static ByteString Bytes(ReadOnlySpan<PrefixCacheKey> keys) => UnsafeByteOperations.UnsafeWrap(PrefixCacheKey.WriteAll(keys));

    static ulong Microseconds(long from, long to) => (ulong)Stopwatch.GetElapsedTime(from, to).TotalMicroseconds;

    static Wire.SequenceResult ToMessage(SequenceSamples samples) => new()
    {
        SequenceId = samples.SequenceId,
        Tokens = { samples.Tokens.Select(token => token.ToMessage()) },
        Prompt = { samples.Prompt.Select(token => token.ToMessage()) },
        Embedding = { samples.Embedding },
    };
}
