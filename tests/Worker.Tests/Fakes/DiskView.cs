using Grpc.Core;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.KvDisk;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>The coordinator's stream of steps to one worker that has the whole model, for those who move blocks over it. Keys are their numbers.</summary>
sealed class DiskView : IAsyncDisposable
{
    readonly AsyncDuplexStreamingCall<Wire.StepRequest, Wire.StepReply> _stream;
    readonly ulong _view;

    DiskView(AsyncDuplexStreamingCall<Wire.StepRequest, Wire.StepReply> stream, ulong view) => (_stream, _view) = (stream, view);

    /// <summary>What was on disk when the view opened.</summary>
    public List<int> Announced { get; } = [];

    public uint SpillsAtOnce { get; private set; }

    public static async Task<DiskView> OpenAsync(TestWorker worker, ClusterPlan plan)
    {
        var view = new DiskView(worker.Steps.Run(), plan.ViewVersion);
        await view._stream.RequestStream.WriteAsync(TestPipeline.Open(plan, 0));
        for (var reply = await view.NextAsync(); ; reply = await view.NextAsync())
        {
            if (reply.Opened is { } opened)
            {
                view.SpillsAtOnce = opened.SpillsAtOnce;
                return view;
            }
            view.Announced.AddRange(Numbers(reply.Kept.Kept));
        }
    }

    public Task SendAsync(Wire.BlockMoves moves)
    {
        moves.ViewVersion = _view;
        return Deadline.Within(_stream.RequestStream.WriteAsync(new Wire.StepRequest { Moves = moves }), "the worker to take moves");
    }

    /// <summary>
    /// Completes when the worker has queued all that was sent before. A word for another view says so: its log has it, whatever the stage's thread does.
    /// </summary>
    public async Task QueuedAsync(TestWorker worker)
    {
        const ulong other = 4242;
        await _stream.RequestStream.WriteAsync(new Wire.StepRequest { Ended = new Wire.SequencesEnded { ViewVersion = other } });
        await Deadline.Within(worker.Log.LineAsync($"of view {other}:"), "the worker to read a word for another view");
    }

    public Task SendAsync(Wire.StepPlan step) =>
        Deadline.Within(_stream.RequestStream.WriteAsync(new Wire.StepRequest { Step = step }), "the worker to take a step");

    public async Task<Wire.StepReply> NextAsync() => await Deadline.Within(_stream.ResponseStream.MoveNext(CancellationToken.None), "a reply")
        ? _stream.ResponseStream.Current
        : throw new InvalidOperationException("the worker ended the stream");

    /// <summary>The keys that are kept, once so many spills are done with.</summary>
    public async Task<List<int>> KeptAsync(uint spills)
    {
        List<int> kept = [];
        while (spills > 0)
        {
            var reply = (await NextAsync()).Kept;
            kept.AddRange(Numbers(reply.Kept));
            spills -= reply.SpillsDone;
        }
        return kept;
    }

    public async Task<(ulong Id, uint Count)> RestoredAsync()
    {
        while (true)
            if ((await NextAsync()).Restored is { } restored) return (restored.RestoreId, restored.Count);
    }

    public async ValueTask DisposeAsync()
    {
        await _stream.RequestStream.CompleteAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stream.Dispose();
    }

    static IEnumerable<int> Numbers(Google.Protobuf.ByteString keys) => PrefixCacheKey.ReadAll(keys.Span).Select(key => (int)key.High);
}
