using System.Text;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Api;

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
