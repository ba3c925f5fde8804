using System.Runtime.CompilerServices;
using System.Threading.Channels;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Peers;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Peers;

/// <summary>A replica that a test leads step by step. It answers as <see cref="FakeModel"/> does.</summary>
sealed class FakeReplica(string name) : IReplica
{
    readonly LossToken _lost = new();

    public string Name => name;

    public EngineStatus Status { get; set; } = new(true, "", 1);

    public ReplicaUse Use { get; set; }

    public CancellationToken Lost => _lost.Token;

    /// <summary>What it was asked to run, in order.</summary>
    public List<FakeRun> Runs { get; } = [];

    /// <summary>What it does at once with a sequence; null: nothing, the test does it.</summary>
    public Action<FakeRun>? OnRun { get; set; }

    public void Lose(bool isLost = true) => _lost.Set(isLost);

    public IReadOnlyList<IAsyncEnumerable<SequenceEvent>> Run(IReadOnlyList<SequenceRequest> requests, RoutedPrompt prompt) => [.. requests.Select(request =>
    {
        var run = new FakeRun(request);
        Runs.Add(run);
        OnRun?.Invoke(run);
        return run.ReadAsync(CancellationToken.None);
    })];
}

/// <summary>A sequence on a <see cref="FakeReplica"/>.</summary>
sealed class FakeRun(SequenceRequest request)
{
    readonly Channel<SequenceEvent> _events = Channel.CreateUnbounded<SequenceEvent>();
    readonly List<int> _generated = [.. request.SoFar?.Generated ?? []];

    public SequenceRequest Request => request;

    public bool IsLeft { get; private set; }

    public void Send(SequenceEvent happened) => _events.Writer.TryWrite(happened);

    public void Begin(int cached = 0) => Send(new SequenceEvent.Begun(cached));

    /// <summary>The next tokens that the model gives.</summary>
    public void Generate(int tokens)
    {
        for (var next = FakeModel.Continue([.. request.Prompt], _generated.Count + tokens); tokens > 0; tokens--)
        {
            _generated.Add(next[_generated.Count]);
            Send(new SequenceEvent.Token(new SampledToken(_generated[^1], 0, [])));
        }
    }

    /// <summary>All that is left.</summary>
    public void Finish()
    {
        Generate(request.MaxTokens - _generated.Count);
        Send(new SequenceEvent.Finished(FinishReason.Length));
    }

    public async IAsyncEnumerable<SequenceEvent> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        try
        {
            await foreach (var happened in _events.Reader.ReadAllAsync(cancellation)) yield return happened;
        }
        finally
        {
            IsLeft = true;
        }
    }
}
