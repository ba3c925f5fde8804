using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>An engine that plays what a test has written for it, and remembers what it was asked.</summary>
sealed class ScriptedEngine : IGenerationEngine
{
    readonly ConcurrentQueue<SequenceRequest> _requests = [];

    public EngineStatus Status { get; set; } = new(true, "", 1);

    /// <summary>The events of a sequence.</summary>
    public Func<SequenceRequest, IAsyncEnumerable<SequenceEvent>> Script { get; set; } = _ => Answers.Of("").ToAsyncEnumerable();

    public IReadOnlyList<SequenceRequest> Requests => [.. _requests];

    /// <summary>Completed when a sequence has been left before its script was over, by cancellation or because nobody reads on.</summary>
    public TaskCompletionSource Cancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Play(params SequenceEvent[] events) => Script = _ => events.ToAsyncEnumerable();

    public async IAsyncEnumerable<SequenceEvent> GenerateAsync(SequenceRequest request, [EnumeratorCancellation] CancellationToken cancellation)
    {
        _requests.Enqueue(request);
        var over = false;
        try
        {
            await foreach (var happened in Script(request).WithCancellation(cancellation)) yield return happened;
            over = true;
        }
        finally
        {
            if (!over) Cancelled.TrySetResult(); // the token may not be told yet: what it is linked to runs its callbacks one after another
        }
    }
}

/// <summary>Events of sequences, from texts.</summary>
static class Answers
{
    /// <summary>A token for each byte of the text, then the end: every character beyond ASCII and every stop text is split.</summary>
    public static SequenceEvent[] BytesOf(string text, FinishReason reason = FinishReason.Length)
        => Finish(Encoding.UTF8.GetBytes(text).SelectMany(value => Ids([value])), reason);

    /// <summary>The text as the tokenizer cuts it, then the end.</summary>
    public static SequenceEvent[] Of(string text, FinishReason reason = FinishReason.Length) => Finish(IdsOf(text), reason);

    /// <summary>The text, a stop id and the end.</summary>
    public static SequenceEvent[] Stopped(string text) => Finish(IdsOf(text).Append(DemoModel.EndOfTurn), FinishReason.Stop);

    public static IReadOnlyList<int> IdsOf(string text) => Ids(Encoding.UTF8.GetBytes(text));

    public static SequenceEvent.Token Token(int id, float logprob = -0.5f, params TokenLogprob[] top) => new(new SampledToken(id, logprob, top));

    static SequenceEvent[] Finish(IEnumerable<int> ids, FinishReason reason)
        => [.. ids.Select(id => Token(id)), new SequenceEvent.Finished(reason)];

    static List<int> Ids(ReadOnlySpan<byte> bytes)
    {
        var ids = new List<int>();
        DemoModel.Text.Tokenizer.Encode(bytes, ids, addSpecial: false, parseSpecial: false);
        return ids;
    }
}

/// <summary>A sequence that never ends by itself.</summary>
static class EndlessStream
{
    public static async IAsyncEnumerable<SequenceEvent> After(
        IEnumerable<SequenceEvent> first, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        foreach (var happened in first) yield return happened;
        await new TaskCompletionSource().Task.WaitAsync(cancellation);
    }
}
