using System.Threading.Channels;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// One copy of the model, spread over workers, with the sequences that it runs. A replica outlives its views: the supervisor attaches one
/// pipeline after the other. This class is what others see of it, from any thread; each call is a message to the replica's loop.
/// </summary>
/// <param name="forms">Guesses what the forms of answers force; null: nobody does.</param>
/// <param name="adapters">Keeps what sequences use; null: nobody keeps count.</param>
/// <param name="drafts">Guesses how sequences go on; null: only the coordinator itself does.</param>
public sealed class Replica(
    string name, EngineOptions options, ClusterDeadlines deadlines, ModelIdentity model, CoordinatorMetrics metrics, TimeProvider time, ILogger<Replica> logger,
    AnswerForms? forms = null, AdapterRegistry? adapters = null, IDraftModel? drafts = null) : IPipelineUser
{
    // Bounded by the open requests, the steps in flight and the views. The loop waits for nobody, so it is emptied at once.
    readonly Channel<LoopMessage> _inbox = Channel.CreateUnbounded<LoopMessage>(new UnboundedChannelOptions { SingleReader = true });
    volatile EngineStatus _status = new(false, "the coordinator is starting", 0);
    volatile string? _endsFor;
    volatile ReplicaLoop? _loop;

    public string Name => name;

    /// <summary>
    /// Whether it takes sequences. The supervisor says whether it is ready, until the replica is drained for good. While a replica that was
    /// ready waits for its next view, sequences may wait with it.
    /// </summary>
    public EngineStatus Status
    {
        get
        {
            var status = _status;
            if (_endsFor is { } reason) return status with { Ready = false, Reason = reason };
            return !status.Ready && _loop is { TakesSequences: true } ? status with { IsRecovering = true } : status;
        }
        set => _status = value.MaxPositions is null ? value with { MaxPositions = _status.MaxPositions } : value;
    }

    /// <summary>Runs until cancelled. Then every open sequence fails, and so does every later one.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        await using var loop = new ReplicaLoop(name, options, deadlines.Recovery, _inbox, metrics, time, logger, options.Speculate ? drafts : null);
        _loop = loop;
        await loop.RunAsync(stopping);
    }

    public void Attach(IPipeline pipeline) => _inbox.Writer.TryWrite(new LoopMessage.Attach(pipeline));

    public void Detach(IPipeline pipeline, PipelineFailure why) => _inbox.Writer.TryWrite(new LoopMessage.Detach(pipeline, why));

    public Task<ReplicaLoad> CountAsync()
    {
        var counted = new TaskCompletionSource<ReplicaLoad>(TaskCreationOptions.RunContinuationsAsynchronously);
        return _inbox.Writer.TryWrite(new LoopMessage.Count(counted)) ? counted.Task : Task.FromResult(new ReplicaLoad(0, 0));
    }

    public Task<FullBlocks> FullBlocksAsync(ulong view)
    {
        var told = new TaskCompletionSource<FullBlocks>(TaskCreationOptions.RunContinuationsAsynchronously);
        return _inbox.Writer.TryWrite(new LoopMessage.TellFull(view, told)) ? told.Task : Task.FromResult(FullBlocks.None);
    }

    public async Task DrainAsync(string reason, bool forGood = false)
    {
        if (forGood) _endsFor = reason;
        var drained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_inbox.Writer.TryWrite(new LoopMessage.Drain(reason, forGood, drained))) await drained.Task;
    }

    /// <summary>Queues sequences together: all are taken on, or all are refused.</summary>
    /// <returns>One stream per request, in order. Each must be read to its end or abandoned.</returns>
    internal IReadOnlyList<SequenceStream> Submit(IReadOnlyList<SequenceRequest> requests)
    {
        // Lists are the same if they are the same object.
        Dictionary<(IReadOnlyList<int> Prompt, string Salt, SequenceAdapter? Adapter), PromptKeys> keys = [];
        List<SequenceStream> streams = [];
        var submitted = time.GetTimestamp();
        AdapterUse?[] uses = [.. requests.Select(request => request.Adapter is { } adapter ? adapters?.TryUse(adapter.Digest) : null)];
        var areThere = adapters is null || requests.Zip(uses).All(pair => pair.First.Adapter is null || pair.Second is not null);
        foreach (var (request, use) in requests.Zip(uses))
        {
            var key = (request.Prompt, request.CacheSalt, request.Adapter);
            if (!keys.TryGetValue(key, out var its)) keys.Add(key, its = PromptKeys.Of(request, model.Digest + model.Files));
            var form = options.Speculate && request is { Grammar: { } grammar, Adapter: not { OwnVocabulary: not null } } ? forms?.Find(grammar) : null;
            streams.Add(new SequenceStream(request, its, submitted, Wake) { Form = form, AdapterUse = use });
        }
        if (!areThere)
            foreach (var stream in streams) stream.Refuse("The model has been unloaded since the request came.", Refusal.NoAdapter);
        else if (!_inbox.Writer.TryWrite(new LoopMessage.Submit(streams)))
            foreach (var stream in streams) stream.Refuse("the coordinator is stopping", Refusal.NotReady);
        return streams;
    }

    /// <summary>Nobody reads the stream any more. Does nothing if it has ended.</summary>
    internal void Abandon(SequenceStream stream) => _inbox.Writer.TryWrite(new LoopMessage.Abandon(stream));

    /// <summary>Something that the loop waits for has happened outside of it.</summary>
    internal void Wake() => _inbox.Writer.TryWrite(LoopMessage.Wake.Instance);
}
