using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Peers;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using LlamaCluster.Text.Grammars;
using SampledToken = LlamaCluster.Primitives.SampledToken;

namespace LlamaCluster.Coordinator.Tests.Peers;

/// <summary>What travels between coordinators arrives as it was sent.</summary>
public sealed class SequenceMessagesTests
{
    const int Vocabulary = 2048;

    [Fact]
    public void Requests_arrive_as_they_were_sent_and_lists_that_they_share_travel_once()
    {
        int[] prompt = [.. Enumerable.Range(0, 600_000).Select(id => id % Vocabulary)];
        var plain = new SequenceRequest(prompt, new SamplingOptions(), 5, new HashSet<int> { 2 });
        var full = plain with
        {
            Sampling = new SamplingOptions
            {
                Temperature = 0.7f,
                TopK = 5,
                TopP = 0.9f,
                MinP = 0.1f,
                Seed = ulong.MaxValue,
                LogitBias = new Dictionary<int, float> { [3] = -1 },
                TopLogprobs = 2,
                MinTokens = 1,
                EndIds = [2],
            },
            MaxTokensIsDefault = true,
            Priority = -3,
            Client = "client",
            CacheSalt = "salt",
            SessionKey = "session",
            RequestId = "req",
            TraceParent = "00-trace",
            Grammar = GrammarSource.AnyObject,
            SoFar = new SequenceSoFar([7, 8, 9], 4),
        };
        var messages = SequenceMessages.Of([plain, full], "one", "digest").ToList();
        Assert.Equal(3 + 1, messages.Count(message => message.Tokens is not null));   // three parts of the prompt, and what was generated
        Assert.All(messages, message => Assert.InRange(message.CalculateSize(), 1, 4 << 20));
        Assert.Equal(("one", "digest"), (messages[^1].Go.Replica, messages[^1].Go.ModelDigest));

        List<List<int>> lists = [[]];
        foreach (var part in messages.Where(message => message.Tokens is not null).Select(message => message.Tokens))
        {
            lists[^1].AddRange(part.Tokens);
            if (part.Last) lists.Add([]);
        }
        var read = messages.Where(message => message.Sequence is not null).Select(message => SequenceMessages.Read(message.Sequence, lists)).ToList();
        Assert.Equal(prompt, read[0].Prompt);
        Assert.Equivalent(plain with { Prompt = [] }, read[0] with { Prompt = [] }, strict: true);   // element by element it would take minutes
        Assert.Equivalent(full with { Prompt = [] }, read[1] with { Prompt = [] }, strict: true);
        Assert.Same(read[0].Prompt, read[1].Prompt);
    }

    public static TheoryData<SequenceEvent> Events =>
    [
        new SequenceEvent.Begun(17),
        new SequenceEvent.Prompt([new SampledToken(1, -0.5f, [new TokenLogprob(2, -1)])]),
        new SequenceEvent.Token(new SampledToken(3, float.NaN, [])),
        new SequenceEvent.Embedded([0.5f, -1]),
        new SequenceEvent.Finished(FinishReason.Stop),
        new SequenceEvent.Finished(FinishReason.Length),
        new SequenceEvent.Refused("full", Refusal.WaitedTooLong),
        new SequenceEvent.Failed("lost", Retryable: true),
    ];

    [Theory]
    [MemberData(nameof(Events))]
    public void Events_arrive_as_they_were_sent(SequenceEvent happened)
    {
        var reply = GenerateReply.Parser.ParseFrom(Google.Protobuf.MessageExtensions.ToByteArray(happened.ToReply(4)));
        Assert.Equal(4U, reply.Sequence);
        Assert.Equivalent(happened, reply.ToEvent(Vocabulary), strict: true);
    }

    [Fact]
    public void What_cannot_be_is_refused()
    {
        Assert.Throws<InvalidMessageException>(() => new GenerateReply().ToEvent(Vocabulary));
        Assert.Throws<InvalidMessageException>(() => new GenerateReply { Token = new Protos.SampledToken { Id = Vocabulary } }.ToEvent(Vocabulary));
        Assert.Throws<InvalidMessageException>(() => new GenerateReply { Finished = FinishKind.Unspecified }.ToEvent(Vocabulary));
        Assert.Throws<InvalidMessageException>(() => new GenerateReply { Refused = new SequenceRefused { Why = 99 } }.ToEvent(Vocabulary));
        var start = new SequenceStart { Sampling = new SamplingOptions().ToMessage(), Generated = -1 };
        Assert.Throws<InvalidMessageException>(() => SequenceMessages.Read(start, []));
        Assert.Throws<InvalidMessageException>(() => SequenceMessages.Read(new SequenceStart { Generated = -1 }, [[1]]));
        start.GrammarKind = 77;
        Assert.Throws<InvalidMessageException>(() => SequenceMessages.Read(start, [[1]]));
    }
}
