using System.Threading.Channels;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Scheduling;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Drafts;

/// <summary>
/// A draft model on the pipeline that a supervisor of its own brings up. This class is what others see of it, from any thread; each call is a message to
/// its loop. A pipeline that is lost costs drafts and nothing else: open questions are answered without tokens, and the next pipeline computes sequences again
/// from their tokens.
/// </summary>
/// <param name="maxPositions">The most tokens of one sequence that the draft model was made for.</param>
sealed class DraftModel(EngineOptions options, int maxPositions, TimeProvider time, ILogger<DraftModel> logger) : BackgroundService, IDraftModel, IPipelineUser
{
    // Bounded by the main replica's open sequences, each of which has one question open, and by the steps in flight. The loop waits for nobody.
    readonly Channel<DraftMessage> _inbox = Channel.CreateUnbounded<DraftMessage>(new UnboundedChannelOptions { SingleReader = true });
    volatile bool _isReady;

    public string Name => "draft";

    public bool IsReady => _isReady;

    public EngineStatus Status
    {
        set => _isReady = value.Ready;
    }

    public void Ask(DraftQuestion question, Action<DraftAnswer> answer)
    {
        if (!_inbox.Writer.TryWrite(new DraftMessage.Ask(question, answer))) answer(DraftedSequence.NoAnswer(question));
    }

    public void Forget(ulong sequence) => _inbox.Writer.TryWrite(new DraftMessage.Forget(sequence));

    public void Attach(IPipeline pipeline) => _inbox.Writer.TryWrite(new DraftMessage.Attach(pipeline));

    public void Detach(IPipeline pipeline, PipelineFailure why) => _inbox.Writer.TryWrite(new DraftMessage.Detach(pipeline));

    /// <summary>Nothing that a view of the draft model could go on for longer.</summary>
    public Task<ReplicaLoad> CountAsync() => Task.FromResult(new ReplicaLoad(0, 0));

    public Task<FullBlocks> FullBlocksAsync(ulong view) => Task.FromResult(FullBlocks.None);

    public Task DrainAsync(string reason, bool forGood = false) => Task.CompletedTask;

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.Run(() => RunAsync(stoppingToken), CancellationToken.None);

    async Task RunAsync(CancellationToken stopping)
    {
        var loop = new DraftLoop(options, maxPositions, _inbox, time, logger);
        await loop.RunAsync(stopping);
    }
}
